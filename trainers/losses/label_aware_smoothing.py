"""Label-aware smoothing (Zhong et al. 2021, MiSLAS): frequent classes are smoothed more.

ℓ = -(1 - s_y) log p_y - s_y mean_k log p_k, with the concave
s_c = s_tail + (s_head - s_tail) sin(π (n_c - n_min) / (2 (n_max - n_min))).
"""

import math

import torch
from torch import Tensor

from trainers.losses.cross_entropy import PerSample


def smoothing(class_counts: Tensor, head: float, tail: float) -> Tensor:
    """Return the smoothing s_c of each class (K,), in float64.

    Args:
        class_counts: (K,) training samples; where all are alike, every class is a head class.
        head: of the most frequent class.
        tail: of the rarest one.
    """
    counts = class_counts.double()
    least, most = counts.min(), counts.max()
    place = torch.ones_like(counts) if least == most else (counts - least) / (most - least)
    return tail + (head - tail) * (math.pi / 2 * place).sin()


def label_aware_smoothing(
    class_counts: Tensor, *, smooth_head: float = 0.3, smooth_tail: float = 0.0
) -> PerSample:
    """Build ``(logits (B, K), labels (B,)) -> (B,)``.

    Args:
        class_counts: (K,) training samples.
        smooth_head: smoothing of the most frequent class.
        smooth_tail: smoothing of the rarest one.
    """
    shares = smoothing(class_counts, smooth_head, smooth_tail)

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        surprise = -logits.log_softmax(dim=1)
        share = shares.to(logits.device, logits.dtype)[labels]
        own = surprise.gather(1, labels[:, None]).squeeze(1)
        return (1 - share) * own + share * surprise.mean(dim=1)

    return loss
