"""Logit-adjusted cross-entropy (Menon et al. 2021, Eq. 10); balanced softmax at τ = 1.

The cross-entropy of logits + τ log π, with π the class frequencies of the training set.
"""

from torch import Tensor
from torch.nn import functional as F

from trainers.losses.cross_entropy import PerSample


def logit_adjustment(class_counts: Tensor, *, tau: float = 1.0) -> PerSample:
    """Build ``(logits (B, K), labels (B,)) -> (B,)``.

    Args:
        class_counts: (K,) training samples.
        tau: temperature of the prior.
    """
    shift = tau * (class_counts.double() / class_counts.sum()).log()

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        adjusted = logits + shift.to(logits.device, logits.dtype)
        return F.cross_entropy(adjusted, labels, reduction="none")

    return loss
