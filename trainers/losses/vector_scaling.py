"""Vector-scaling loss (Kini et al. 2021, Eq. 4).

The cross-entropy of logits / Δ + τ log π with Δ_c = (n_max / n_c)^γ: multiplicative (CDT, τ = 0)
and additive (logit adjustment, γ = 0) adjustment in one.
"""

from torch import Tensor
from torch.nn import functional as F

from trainers.losses.cross_entropy import PerSample


def vector_scaling(class_counts: Tensor, *, gamma: float = 0.3, tau: float = 1.0) -> PerSample:
    """Build ``(logits (B, K), labels (B,)) -> (B,)``.

    Args:
        class_counts: (K,) training samples.
        gamma: exponent of the multiplicative adjustment.
        tau: temperature of the additive one.
    """
    counts = class_counts.double()
    divisor = (counts.max() / counts) ** gamma
    shift = tau * (counts / counts.sum()).log()

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        scaled = logits / divisor.to(logits.device, logits.dtype)
        adjusted = scaled + shift.to(logits.device, logits.dtype)
        return F.cross_entropy(adjusted, labels, reduction="none")

    return loss
