"""Focal-SAM (Li et al. 2025, Eq. 5-8): a sharpness that weighs class c by (1 - π_c)^γ.

The direction is ∇(L - λ L_γ)(w) + λ ∇L_γ(w + ε), ε = ρ ∇L_γ / ‖∇L_γ‖, with π the class
frequencies of the training set.
"""

from dataclasses import dataclass

from torch import Tensor

from trainers.objective import Objective
from trainers.rules.partial_sam import partial_sam
from trainers.rules.perturbation import BatchNormUpdate, Schedule, scheduled


def focal_weights(class_counts: Tensor, gamma: float) -> Tensor:
    """Return (1 - π_c)^γ, (K,)."""
    return (1 - class_counts.double() / class_counts.sum()) ** gamma


@dataclass(frozen=True)
class FocalSAM:
    """Apply SAM to a frequency-weighted share of the loss.

    Args:
        rho: length of the ascent step.
        gamma: how fast the weight falls with a class's frequency.
        strength: λ, the share of the sharpness term.
        bn_update: which passes update BatchNorm's running statistics.
        schedule: course of the radius over training.
    """

    rho: float
    gamma: float
    strength: float
    bn_update: BatchNormUpdate = "both"
    schedule: Schedule = "constant"

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad``."""
        weights = self.strength * focal_weights(objective.class_counts, self.gamma)
        sharp = weights.to(objective.labels.device, objective.inputs.dtype)[objective.labels]
        rho = scheduled(self.rho, self.schedule, objective.epoch, objective.epochs)
        return partial_sam(objective, 1 - sharp, sharp, rho, self.bn_update)
