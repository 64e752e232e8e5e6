"""Check that a sample's loss is its own, whatever the batch holds besides.

A mean over samples is only one where it is: a loss that depends on the others of its batch, or on
how far these are padded, gives numbers of the batches.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from landscape.errors import DataWarning, InputError, Setting
from landscape.subject.batch import Batch
from landscape.subject.data import LabelledData, read
from landscape.subject.loss import Loss
from landscape.subject.parameters import weight_of

_COMPARED = 4  # samples of a batch that are read alone


def check_independent_samples(loss: Loss, model: nn.Module, batch: Batch) -> None:
    """Compare every sample's loss among others with its loss in a smaller, reversed batch.

    Raises:
        InputError: they differ by more than rounding.
    """
    count = batch.size
    if count < 2:
        return
    together, _ = loss.values(model, batch)
    parts = torch.arange(count - 1, -1, -1, device=together.device).split(-(-count // 2))
    apart = torch.cat([loss.values(model, batch.rows(part))[0] for part in parts])
    _check_alike(together.flip(0), apart, model, count, f"in one of {len(parts[0])}, reversed")


def check_read_alone(
    each: Tensor,
    batch: Batch,
    data: LabelledData,
    model: nn.Module,
    values: Callable[[Batch], Tensor],
    what: str = "loss",
) -> None:
    """Compare values of a batch as it was read with those of some of its samples, read alone.

    A model that takes no single sample is given these few together, in reverse.

    Args:
        each: the values (B,).
        batch: whose values they are.
        data: from which it was read.
        model: that was judged.
        values: of any batch (B,), without a graph.
        what: they are, for messages.

    Raises:
        InputError: they differ by more than rounding.
    """
    if batch.size < 2 or batch.samples is None:
        return
    places = torch.linspace(0, batch.size - 1, min(_COMPARED, batch.size)).round().long().flip(0)
    chosen, together = batch.samples[places], each.detach()[places.to(each.device)]

    def anew(at_once: int) -> Tensor:
        return torch.cat([values(own) for own in read(data, chosen, at_once, weight_of(model))])

    try:
        at_once, apart = 1, anew(1)
    except InputError:
        at_once, apart = len(places), anew(len(places))
    allowed = _allowed(together, model)
    if not ((together - apart).abs() > allowed).any():
        return
    if ((anew(at_once) - apart).abs() <= allowed).all():
        how = "alone" if at_once == 1 else f"in one of {at_once}, reversed"
        _check_alike(together, apart, model, batch.size, how, what)
    warnings.warn(
        f"the {what} of the same sample came out differently the second time: data, model or loss "
        "are random, and the numbers are those of one draw",
        DataWarning,
        stacklevel=2,
    )


def _allowed(values: Tensor, model: nn.Module) -> float:
    eps: float = torch.finfo(weight_of(model).dtype).eps
    return 1e4 * eps * (1 + float(values.abs().max()))


def _check_alike(
    together: Tensor, apart: Tensor, model: nn.Module, count: int, how: str, what: str = "loss"
) -> None:
    difference = (together - apart).abs()
    if float(difference.max()) > _allowed(together, model):
        place = int(difference.argmax())
        raise InputError(
            f"a sample's {what} is {float(together[place]):.6g} in a batch of {count} and "
            f"{float(apart[place]):.6g} {how}: the result would depend on the batches. BatchNorm "
            "without running statistics does that (judge it by batches with ",
            Setting("bn"),
            " batch, where the analysis takes it), and so does a loss that is averaged within the "
            "batch, a buffer that follows the batches in eval mode, padding that the model does "
            "not leave out, or a collate function that mixes samples",
        )
