"""Gradient penalty (Zhao et al. 2022): descend the loss and a multiple of its gradient's norm.

To first order that is (1 - a) ∇L(w) + a ∇L(w + r g / ‖g‖), g = ∇L(w): at a = 1, SAM of radius r.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.objective import Objective
from trainers.rules.perturbation import BatchNormUpdate, ascent, frozen_statistics, perturbed
from trainers.rules.rule import StageChoice


@dataclass(frozen=True)
class GradientPenalty:
    """Mix the gradient with that at the end of an ascent step.

    Args:
        share: a.
        radius: r, length of the ascent step.
        bn_update: which passes update BatchNorm's running statistics.
        stage: of training in which it acts.
    """

    share: float
    radius: float
    bn_update: BatchNormUpdate = "both"
    stage: StageChoice = "first"

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad``."""
        parameters = objective.parameters
        each = objective.losses()
        here = torch.autograd.grad(each.mean(), parameters, materialize_grads=True)
        frozen = frozen_statistics(objective.model, active=self.bn_update == "first")
        with perturbed(parameters, ascent(here, self.radius)), frozen:
            there = torch.autograd.grad(
                objective.losses().mean(), parameters, materialize_grads=True
            )
        for parameter, a, b in zip(parameters, here, there, strict=True):
            parameter.grad = torch.lerp(a, b, self.share)
        return each.detach()
