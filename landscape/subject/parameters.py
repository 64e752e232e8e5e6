"""Choose the parameters of a matrix, and its blocks."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from landscape.errors import InputError


def chosen_parameters(model: nn.Module, globs: Sequence[str]) -> dict[str, nn.Parameter]:
    """Pick the trainable parameters whose names match a glob.

    A parameter that several modules share is found under each of its names, and called by the
    first.

    Raises:
        InputError: none does.
    """
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    wanted = {
        id(parameter)
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if any(fnmatchcase(name, glob) for glob in globs)
    }
    chosen = {name: p for name, p in trainable.items() if id(p) in wanted}
    if not trainable:
        raise InputError(
            "every parameter of the model is frozen (requires_grad is False); unfreeze those to "
            "judge"
        )
    if not chosen:
        known = ", ".join(list(trainable)[:5])
        raise InputError(
            f"no trainable parameter is called {' or '.join(globs)}; the model's are {known}, …"
        )
    return chosen


def weight_of(model: nn.Module) -> Tensor:
    """Return some real parameter, whose device and precision inputs are given.

    Raises:
        InputError: there is none.
    """
    for parameter in model.parameters():
        if parameter.is_floating_point() or parameter.is_complex():
            return parameter
    raise InputError("the model has no parameters; there is nothing to diagnose")


def check_weights(model: nn.Module, of: str = "") -> None:
    """Check that a model's weights are numbers.

    Args:
        model: any network.
        of: words for messages, such as `` of checkpoint best``.

    Raises:
        InputError: a parameter is NaN or infinite, or a buffer NaN; masks hold infinities.
    """
    for name, parameter in model.named_parameters():
        if not is_lazy(parameter):
            _check_numbers(f"parameter {name}{of}", parameter.detach(), masks=False)
    for name, buffer in model.named_buffers():
        if not is_lazy(buffer):
            _check_numbers(f"buffer {name}{of}", buffer.detach(), masks=True)


def _check_numbers(name: str, values: Tensor, *, masks: bool) -> None:
    if values.is_meta:
        raise InputError(f"{name} is on the meta device, without values; load the weights first")
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
