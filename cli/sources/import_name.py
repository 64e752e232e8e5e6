"""Import objects by name: ``mypkg.nets:build``, from the working directory and PYTHONPATH."""

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from landscape.errors import InputError, unknown

_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def is_import_name(text: str) -> bool:
    """Tell whether a text has the form ``MODULE:NAME``."""
    return _NAME.fullmatch(text) is not None


def import_object(option: str, text: str) -> Any:
    """Import an object.

    Args:
        option: the option that names it, for messages.
        text: ``MODULE:NAME``.

    Raises:
        InputError: the form is invalid, the module or name does not exist, or its import fails.
    """
    if not is_import_name(text):
        raise InputError(
            f"--{option} '{text}' is not of the form MODULE:NAME, as in mypkg.nets:build"
        )
    module_name, _, path = text.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"--{option} {text}: no module '{error.name}' in the working directory, on PYTHONPATH "
            "or installed"
        ) from error
    except Exception as error:  # anything may go wrong in a user's file
        raise user_code_error(option, text, error) from error
    for part in path.split("."):
        if not hasattr(found, part):
            raise unknown(f"name in {module_name}", part, (n for n in dir(found) if n[0] != "_"))
        found = getattr(found, part)
    return found


def user_code_error(option: str, text: str, error: Exception) -> InputError:
    """Build the error for user code that raised."""
    return InputError(
        f"--{option} {text} raised {type(error).__name__}: {error} (TAILSCAPE_DEBUG=1 shows where)"
    )
