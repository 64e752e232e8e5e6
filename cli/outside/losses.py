"""Losses by name: a function of outputs and targets, of model and batch, or a torch loss."""

import inspect
from typing import Any

from torch import nn

from cli.sources.import_name import failed, named
from landscape.errors import InputError
from landscape.subject.loss import Loss, cross_entropy


def loss_named(name: str | None) -> Loss:
    """Find a per-sample loss; the cross-entropy without a name.

    Args:
        name: ``MODULE:NAME`` of ``(outputs, targets) -> (B,)``, of a function whose first parameter
            is called ``model``, ``(model, batch) -> (B,)``, or of a torch loss class.

    Raises:
        InputError: there is none, or it cannot be called.
    """
    if name is None:
        return cross_entropy()
    found: Any = named("loss", name)
    if isinstance(found, Loss):
        return found
    if isinstance(found, type):
        found = _built(found, name)
    if isinstance(found, nn.Module):
        return Loss(found.eval(), name)
    if not callable(found):
        raise InputError(f"--loss {name} is a {type(found).__name__}; give a function")
    first = next(iter(inspect.signature(found).parameters), "")
    return Loss.of_batch(found, name) if first == "model" else Loss(found, name)


def _built(kind: type, name: str) -> Any:
    per_sample = "reduction" in inspect.signature(kind).parameters
    try:
        return kind(reduction="none") if per_sample else kind()
    except Exception as error:  # anything may go wrong in a user's class
        raise failed("loss", name, error) from error
