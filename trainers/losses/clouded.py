"""Gaussian clouded logits (Li et al. 2022, GCL): cosines of rare classes are lowered by more noise.

CE(s (cos θ_k - a |ε_k| (log n_max - log n_k) / (log n_max - log n_min) - m 1_y)), with
ε ~ N(0, 1/9) clamped to [-1, 1] for each sample and class. Where the classifier is re-balanced, the
loss of a sample counts by the detached (1 - p_y)^γ.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from trainers.losses.cross_entropy import PerSample

_DEVIATION = 1 / 3


@dataclass(frozen=True)
class CloudedLogits:
    """Lower the cosines by noise that grows as classes get rarer.

    Args:
        class_counts: (K,) training samples.
        noise: a.
        margin: m, of the true class.
        scale: s.
        head_scale: factor by which the classifier multiplies its cosines; for a linear classifier,
            whose logits are taken as they are, ``scale``.
        focus: γ.
    """

    class_counts: Tensor
    noise: float = 0.5
    margin: float = 0.0
    scale: float = 30.0
    head_scale: float = 30.0
    focus: float = 0.0

    def at(self, epoch: int, epochs: int, generator: torch.Generator) -> PerSample:  # noqa: ARG002
        """Return the loss of a step ``(logits (B, K), labels (B,)) -> (B,)``."""
        logarithms = self.class_counts.double().log()
        depth = logarithms.max() - logarithms
        depth = self.noise * depth / depth.max().clamp_min(torch.finfo(depth.dtype).tiny)

        def loss(logits: Tensor, labels: Tensor) -> Tensor:
            drawn = torch.empty_like(logits, requires_grad=False)
            drawn.normal_(std=_DEVIATION, generator=generator)
            lowered = drawn.abs().clamp(max=1) * depth.to(logits.device, logits.dtype)
            lowered = lowered + self.margin * F.one_hot(labels, logits.shape[1])
            found = logits * (self.scale / self.head_scale) - self.scale * lowered
            each = F.cross_entropy(found, labels, reduction="none")
            if not self.focus:
                return each
            return (-(-each.detach()).expm1()) ** self.focus * each

        return loss


def clouded(
    class_counts: Tensor, *, noise: float = 0.5, margin: float = 0.0, scale: float = 30.0
) -> CloudedLogits:
    """Build the loss of the first stage, on a cosine classifier of that scale.

    Args:
        class_counts: (K,) training samples.
        noise: a.
        margin: m.
        scale: s.
    """
    return CloudedLogits(class_counts, noise, margin, scale, scale)
