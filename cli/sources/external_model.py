"""External models and losses by name.

A model comes from a user's builder, torchvision or timm; a loss is a function of outputs and
targets or of model and batch, or a torch loss.
"""

import ast
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from cli.sources.import_name import import_object, user_code_error
from landscape.errors import InputError, unknown
from landscape.subject.loss import Loss, cross_entropy, loss_of


def build_model(name: str, arguments: tuple[str, ...], num_classes: int) -> nn.Module:
    """Build a model with random weights, on the CPU.

    Args:
        name: ``MODULE:NAME``, ``torchvision:NAME`` or ``timm:NAME``.
        arguments: ``key=value`` of the builder.
        num_classes: passed to builders that take it, unless it is among the arguments.

    Raises:
        InputError: there is no such model, its package is missing, or it cannot be built.
    """
    library, _, rest = name.partition(":")
    given = parse_arguments(arguments)
    if library in {"torchvision", "timm"}:
        return _library_model(library, rest, {"num_classes": num_classes} | given)
    found = import_object("model", name)
    if isinstance(found, nn.Module):
        if given:
            raise InputError(f"--model {name} is already built; omit --model-arguments")
        return found
    if not callable(found):
        raise InputError(f"--model {name} is a {type(found).__name__}; give a function or class")
    if _takes(found, "num_classes"):
        given = {"num_classes": num_classes} | given
    try:
        model = found(**given)
    except Exception as error:  # anything may go wrong in a user's builder
        raise user_code_error("model", name, error) from error
    if not isinstance(model, nn.Module):
        raise InputError(
            f"--model {name} returned a {type(model).__name__}; it must return a torch.nn.Module"
        )
    return model


def parse_arguments(arguments: tuple[str, ...]) -> dict[str, Any]:
    """Parse ``key=value`` pairs; values are Python literals, otherwise text.

    Raises:
        InputError: a pair has no ``=``.
    """
    found = {}
    for pair in arguments:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise InputError(f"--model-arguments '{pair}' is not of the form name=value")
        try:
            found[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[key] = value
    return found


def num_classes_of(arguments: tuple[str, ...]) -> int:
    """Read the number of classes from the builder's arguments; 0 if it is not among them.

    Raises:
        InputError: it is not a whole number above 0.
    """
    given = parse_arguments(arguments)
    if "num_classes" not in given:
        return 0
    found = given["num_classes"]
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise InputError(
            f"--model-arguments num_classes={found} is not a whole number above 0; give the number "
            "of the model's outputs"
        )
    return found


def load_loss(name: str | None) -> Loss:
    """Load a per-sample loss; the cross-entropy without a name.

    Args:
        name: ``MODULE:NAME`` of ``(outputs, targets) -> (B,)``; of ``(model, batch) -> (B,)`` if
            the first parameter is called ``model``; or of a torch loss class.

    Raises:
        InputError: it does not exist, or cannot be called.
    """
    if name is None:
        return cross_entropy()
    found: Any = import_object("loss", name)
    if isinstance(found, Loss):
        return found
    if isinstance(found, type):
        found = _built(found, name)
    if isinstance(found, nn.Module):
        return replace(loss_of(found.eval()), name=name)
    if not callable(found):
        raise InputError(f"--loss {name} is a {type(found).__name__}; give a function")
    first = next(iter(inspect.signature(found).parameters), "")
    return Loss.of_batch(found, name) if first == "model" else Loss(found, name)


def _library_model(library: str, name: str, arguments: Mapping[str, Any]) -> nn.Module:
    create: Callable[..., nn.Module]
    if library == "torchvision":
        from torchvision.models import get_model, list_models

        known, create = list_models(), partial(get_model, weights=None)
    else:
        try:
            import timm
        except ModuleNotFoundError as error:
            raise InputError("timm is not installed; pip install 'tailscape[models]'") from error
        known, create = timm.list_models(), partial(timm.create_model, pretrained=False)
    if name not in known:
        raise unknown(f"{library} model", name, known)
    try:
        model: nn.Module = create(name, **arguments)
    except (TypeError, ValueError, AssertionError) as error:
        raise user_code_error("model", f"{library}:{name}", error) from error
    return model


def _takes(function: Any, argument: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return argument in parameters


def _built(kind: type, name: str) -> Any:
    per_sample = "reduction" in inspect.signature(kind).parameters
    try:
        return kind(reduction="none") if per_sample else kind()
    except Exception as error:  # anything may go wrong in a user's class
        raise user_code_error("loss", name, error) from error
