"""Label-distribution-aware margin loss (Cao et al. 2019, Eq. 13).

The margin of class c is proportional to n_c^(-1/4), the largest being ``max_margin``; the logit of
the true class is lowered by scale · margin before the cross-entropy. The cosine head multiplies its
cosines by the same scale.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from trainers.losses.cross_entropy import PerSample


def margins(class_counts: Tensor, max_margin: float) -> Tensor:
    """Return the margin of each class (K,), in units of the cosine."""
    raw = class_counts.to(torch.float64) ** -0.25
    return (raw * (max_margin / raw.max())).float()


def ldam(class_counts: Tensor, *, max_margin: float = 0.5, scale: float = 30.0) -> PerSample:
    """Build ``(logits (B, K), labels (B,)) -> (B,)``.

    Args:
        class_counts: (K,) training samples.
        max_margin: margin of the rarest class, a cosine difference.
        scale: factor by which the head multiplies its cosines.
    """
    margin = margins(class_counts, max_margin) * scale

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        lowered = torch.zeros_like(logits).scatter(
            1, labels[:, None], margin.to(logits.device, logits.dtype)[labels][:, None]
        )
        return F.cross_entropy(logits - lowered, labels, reduction="none")

    return loss
