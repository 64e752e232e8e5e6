"""Choose the parameters of a matrix, and its blocks."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from landscape.errors import InputError


def chosen_parameters(model: nn.Module, globs: Sequence[str]) -> dict[str, nn.Parameter]:
    """Pick the trainable parameters whose names match a glob.

    Raises:
        InputError: none does.
    """
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    chosen = {n: p for n, p in trainable.items() if any(fnmatchcase(n, g) for g in globs)}
    if not chosen:
        known = ", ".join(list(trainable)[:5]) or "none"
        raise InputError(
            f"no trainable parameter is called {' or '.join(globs)}; the model's are {known}, …"
        )
    return chosen


def module_blocks(names: Sequence[str]) -> dict[str, list[int]]:
    """Group parameters by the module that owns them."""
    owners: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        owners.setdefault(name.rpartition(".")[0], []).append(i)
    return owners
