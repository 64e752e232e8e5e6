"""Choose the parameters of a matrix, and its blocks."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

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


def check_weights(model: nn.Module) -> None:
    """Check that a model's weights are numbers.

    Raises:
        InputError: a parameter is NaN or infinite, or a buffer NaN; masks hold infinities.
    """
    for name, parameter in model.named_parameters():
        if not is_lazy(parameter):
            _check_numbers(f"parameter {name}", parameter.detach(), masks=False)
    for name, buffer in model.named_buffers():
        if not is_lazy(buffer):
            _check_numbers(f"buffer {name}", buffer.detach(), masks=True)


def _check_numbers(name: str, values: Tensor, *, masks: bool) -> None:
    wrong = values.isnan() if masks else ~values.isfinite()
    if wrong.any():
        raise InputError(
            f"{name} is {float(values[wrong][0].abs()):g} in {int(wrong.sum())} of its "
            f"{values.numel()} entries; the weights have diverged or are damaged: take an earlier "
            "checkpoint"
        )


def module_blocks(names: Sequence[str]) -> dict[str, list[int]]:
    """Group parameters by the module that owns them."""
    owners: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        owners.setdefault(name.rpartition(".")[0], []).append(i)
    return owners
