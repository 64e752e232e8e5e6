"""Refusals of what is no matrix: data drawn anew, a random loss, a loss coupled to its batch.

All are seen on a few samples, before any long work.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from landscape.errors import InputError, Setting
from landscape.subject.loss import Batch, Loss

_ALLOW = ("Switch that off, or go on with ", Setting("spectrum.allow_nondeterministic"))


def check_same_batches(first: Batch, second: Batch) -> None:
    """Compare two readings of the same samples.

    Raises:
        InputError: they differ.
    """
    for a, b in zip(first, second, strict=True):
        if a.shape != b.shape or not ((a == b) | (a != a)).all():  # NaN is like itself
            raise InputError(
                "the same samples came out differently the second time: the data are drawn anew, "
                "by shuffling or augmentation. ",
                *_ALLOW,
            )


def check_deterministic(product: Callable[[], Tensor]) -> None:
    """Compare two products of the same vector and samples, each through a graph of its own.

    Raises:
        InputError: they differ by more than rounding.
    """
    first, second = product(), product()
    apart = float((first - second).abs().max())
    allowed = 100 * torch.finfo(torch.float32).eps * float(first.abs().max())
    if apart > allowed:
        raise InputError(
            f"the same product came out differently the second time (by {apart:.2g}, where "
            f"rounding explains {allowed:.2g}): the model or the loss is random, as dropout is. ",
            *_ALLOW,
        )


def check_independent_samples(loss: Loss, model: nn.Module, batch: Batch) -> None:
    """Compare a sample's loss among others with its loss beside one other.

    Raises:
        InputError: they differ by more than rounding.
    """
    if len(batch[0]) < 3:
        return
    with torch.no_grad():
        together = loss.per_sample(model, batch)
        pair = loss.per_sample(model, (batch[0][:2], batch[1][:2]))
    apart = float((together[0] - pair[0]).abs())
    allowed = 1e4 * torch.finfo(together.dtype).eps * (1 + float(together.abs().max()))
    if apart > allowed:
        raise InputError(
            f"a sample's loss is {float(together[0]):.6g} in a batch of {len(together)} and "
            f"{float(pair[0]):.6g} in one of 2: the matrix would depend on the batch size. "
            "BatchNorm without running statistics does that (judge it by batches with ",
            Setting("bn"),
            " batch), and so does a loss that is averaged within the batch",
        )
