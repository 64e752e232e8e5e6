"""Class weights over training: none, class-balanced, deferred (DRW).

Weights are normalised to sum K, and a batch's loss is Σ w_y ℓ / Σ w_y, or Σ w_y ℓ / B.
"""

from typing import Literal

from torch import Tensor

Mean = Literal["weights", "samples"]


def effective_number_weights(class_counts: Tensor, beta: float) -> Tensor:
    """Return (1 - β) / (1 - β^n), normalised to sum K (Cui et al. 2019, Eq. 2).

    Args:
        class_counts: (K,) training samples.
        beta: 0 weighs equally; towards 1 it becomes inverse frequency.
    """
    weights = (1 - beta) / (1 - beta ** class_counts.double())
    return (weights * (len(weights) / weights.sum())).float()


def inverse_frequency_weights(class_counts: Tensor) -> Tensor:
    """Return 1 / n, normalised to sum K (Rangwani et al. 2022, Eq. 2)."""
    weights = 1 / class_counts.double()
    return (weights * (len(weights) / weights.sum())).float()


def class_weights(
    class_counts: Tensor,
    epoch: int,
    epochs: int,
    *,
    start: float,
    kind: str,
    beta: float,
    mean: Mean = "weights",  # noqa: ARG001
) -> Tensor | None:
    """Return the weights (K,) of an epoch, or ``None`` before they start.

    Args:
        class_counts: (K,) training samples.
        epoch: counted from 0.
        epochs: of the whole training.
        start: share of the epochs after which weighting begins; 0.8 is the 160th of 200 (DRW).
        kind: ``effective`` number or ``inverse`` frequency.
        beta: of the effective number.
        mean: of the batch loss, which :func:`sample_weights` takes.
    """
    if epoch < round(start * epochs):
        return None
    if kind == "inverse":
        return inverse_frequency_weights(class_counts)
    return effective_number_weights(class_counts, beta)


def sample_weights(weights: Tensor | None, labels: Tensor, mean: Mean = "weights") -> Tensor | None:
    """Return factors (B,) whose product with the losses has the batch's loss as its mean.

    Args:
        weights: (K,).
        labels: (B,).
        mean: over the ``weights``, Σ w ℓ / Σ w, or over the ``samples``, Σ w ℓ / B.
    """
    if weights is None:
        return None
    each = weights.to(labels.device)[labels]
    return each if mean == "samples" else each * (len(each) / each.sum())


def no_weights(class_counts: Tensor, epoch: int, epochs: int) -> Tensor | None:  # noqa: ARG001
    """Return no weights: every sample counts equally."""
    return None
