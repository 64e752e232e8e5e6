"""Import objects by name: ``mypkg.nets:build``, installed, on PYTHONPATH or from this folder."""

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
    here = Path.cwd()
    if str(here) not in sys.path:
        sys.path.append(str(here))  # behind: a file such as figures.py hides no installed package
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
            _refuse_hidden(option, text, found, here)
            raise unknown(f"name in {module_name}", part, (n for n in dir(found) if n[0] != "_"))
        found = getattr(found, part)
    return found


def _refuse_hidden(option: str, text: str, found: Any, here: Path) -> None:
    """Check that what lacks a name is not an installed package in place of the user's own.

    Raises:
        InputError: the working directory has a module of this name.
    """
    top = text.partition(":")[0].partition(".")[0]
    own = next((p for p in (here / f"{top}.py", here / top) if p.exists()), None)
    file = getattr(found, "__file__", None)
    if own is not None and file and not Path(file).is_relative_to(here):
        raise InputError(
            f"--{option} {text}: '{top}' is an installed package ({file}), which comes before "
            f"'{own.name}' of the working directory; rename that"
        )


def user_code_error(option: str, text: str, error: Exception) -> InputError:
    """Build the error for user code that raised."""
    return InputError(
        f"--{option} {text} raised {type(error).__name__}: {error} (TAILSCAPE_DEBUG=1 shows where)"
    )
