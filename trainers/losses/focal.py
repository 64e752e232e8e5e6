"""Focal loss (Lin et al. 2017, Eq. 4).

The cross-entropy of a sample times (1 - p_y)^γ, so that samples already classified well count less.
"""

import torch
from torch import Tensor

from trainers.losses.cross_entropy import PerSample


def focal(class_counts: Tensor, *, gamma: float = 1.0) -> PerSample:  # noqa: ARG001
    """Build ``(logits (B, K), labels (B,)) -> (B,)``, (1 - p_y)^γ · -log p_y with softmax p.

    Args:
        class_counts: not used; every loss is built from the training counts.
        gamma: focusing exponent, at least 0; 0 is the cross-entropy. The released long-tailed
            comparison of Cao et al. (2019) takes 1, Lin et al. (2017) take 2.

    Raises:
        ValueError: gamma is negative.
    """
    if gamma < 0:
        raise ValueError(f"gamma {gamma:g} is negative; 0 is the cross-entropy")

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        log_p = logits.log_softmax(dim=1).gather(1, labels[:, None]).squeeze(1)
        # p rounds to 1, and the slope of x^γ with γ < 1 is infinite at 0
        missed = (-log_p.expm1()).clamp_min(torch.finfo(log_p.dtype).tiny)
        return missed**gamma * -log_p

    return loss
