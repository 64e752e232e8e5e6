"""Losses of logits, and log-softmax, in forms whose derivatives keep their digits.

Of a sample that a network has fitted, 1 - p is all that its loss and derivatives are made of. Where
they come out as a difference of numbers near one, nothing is left of it; here they do not.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def softplus(values: Tensor) -> Tensor:
    """Compute log(1 + e^x); PyTorch's own second derivative is a product with 1 - (1 - e^x)."""
    positive = values > 0
    above, below = values.where(positive, 0.0), values.where(~positive, 0.0)
    return torch.where(positive, above + (-above).exp().log1p(), below.exp().log1p())


def log_softmax(values: Tensor, dim: int) -> Tensor:
    """Compute log softmax over ``dim``, of two or more: margins z - z_max less log(1 + Σ e^margin).

    The largest has a margin of zero that no derivative passes through, so that of a fitted sample
    no term is a difference of numbers near one.
    """
    top = values.argmax(dim, keepdim=True)
    margins = values - values.gather(dim, top)
    rest = margins.scatter(dim, top, -torch.inf).logsumexp(dim, keepdim=True)
    return margins.scatter(dim, top, 0.0) - softplus(rest)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Compute :func:`torch.nn.functional.cross_entropy`; of class numbers by log_softmax."""
    dim = 0 if input.dim() == 1 else 1
    smooth = label_smoothing != 0 or target.is_floating_point() or reduce is not None
    if smooth or size_average is not None or not can_be_stable(input, dim):
        found: Tensor = F.cross_entropy(
            *(input, target, weight, size_average, ignore_index, reduce, reduction),
            label_smoothing,
        )
        return found
    return F.nll_loss(log_softmax(input, dim), target, weight, None, ignore_index, None, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Compute :func:`torch.nn.functional.binary_cross_entropy_with_logits` by softplus."""
    if size_average is not None or reduce is not None or target.size() != input.size():
        found: Tensor = F.binary_cross_entropy_with_logits(
            *(input, target, weight, size_average, reduce, reduction, pos_weight)
        )
        return found
    positive = target if pos_weight is None else pos_weight * target
    each = positive * softplus(-input) + (1 - target) * softplus(input)
    each = each if weight is None else weight * each
    return {"mean": each.mean, "sum": each.sum}.get(reduction, lambda: each)()


def can_be_stable(values: Tensor, dim: int) -> bool:
    """Tell whether :func:`log_softmax` takes values: two or more real ones over ``dim``."""
    return values.is_floating_point() and values.dim() > 0 and values.shape[dim] > 1
