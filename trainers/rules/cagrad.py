"""Conflict-averse gradient descent (Liu et al. 2021) on class gradients."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from trainers.objective import Objective
from trainers.rules.class_step import Layers, class_step
from trainers.rules.gradient_weights import cagrad_direction_weights


@dataclass(frozen=True)
class CAGrad:
    """Compute the direction near the mean gradient that improves the worst class most.

    Args:
        c: radius around the mean gradient, in units of its norm.
        rescale: ``yes`` divides by 1 + c².
        layers: over which class gradients are taken.
        shared_epochs: share of the epochs in which classes are weighed.
    """

    c: float = 0.5
    rescale: Literal["no", "yes"] = "no"
    layers: Layers = "last"
    shared_epochs: float = 1.0

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad``."""
        rescale = self.rescale == "yes"
        return class_step(
            objective,
            self.layers,
            lambda gram, _: cagrad_direction_weights(gram, self.c, rescale=rescale),
            self.shared_epochs,
        )
