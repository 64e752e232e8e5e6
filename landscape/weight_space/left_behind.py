"""Compare what a move towards another checkpoint leaves behind: all but the trainable weights."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from landscape.errors import InputError, Setting
from landscape.weight_space.spectral_norms import names_of_singular_vectors


def check_left_behind(
    model: nn.Module,
    other: nn.Module,
    name: str,
    remedy: Sequence[str | Setting] = ("give both the same",),
) -> list[str]:
    """Check that a model moved to another's trainable weights is that other one.

    Args:
        model: from which the way leads.
        other: to which it leads, of the same architecture.
        name: of it, for messages.
        remedy: what to do, for messages.

    Returns:
        The buffers that differ and may be recomputed at each point: running statistics of
        BatchNorm, and singular vectors of spectral norms.

    Raises:
        InputError: a frozen parameter or another buffer of real numbers differs.
    """
    recomputed = {*_statistics_of_batchnorm(model), *names_of_singular_vectors(model)}
    theirs, moved = dict(_left_behind(other)), list[str]()
    for entry, (kind, ours) in _left_behind(model):
        if torch.equal(ours, theirs[entry][1].to(ours)):
            continue
        if entry in recomputed:
            moved.append(entry)
            continue
        raise InputError(
            f"the {kind} '{entry}' of '{name}' differs from the model's, and only trainable "
            f"weights are moved, so that the way would not end at '{name}'; ",
            *remedy,
        )
    return moved


def _left_behind(model: nn.Module) -> Iterator[tuple[str, tuple[str, Tensor]]]:
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            yield name, ("frozen parameter", parameter.detach())
    for name, buffer in model.named_buffers():
        if buffer.is_floating_point():
            yield name, ("buffer", buffer)


def _statistics_of_batchnorm(model: nn.Module) -> Iterator[str]:
    for path, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            yield from (f"{path}.{name}".lstrip(".") for name in ("running_mean", "running_var"))
