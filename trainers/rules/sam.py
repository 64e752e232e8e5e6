"""Sharpness-aware minimisation (Foret et al. 2021).

ε = ρ g / (‖g‖ + 1e-12) with g the gradient of the batch loss over all parameters; the optimiser
follows the gradient at w + ε, taken on the same batch. Weight decay belongs to the optimiser and is
no part of the ascent.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.objective import Objective
from trainers.rules.perturbation import (
    BatchNormUpdate,
    Schedule,
    ascent,
    frozen_statistics,
    perturbed,
    scheduled,
)


@dataclass(frozen=True)
class SAM:
    """Ascend by ``rho``, take the gradient there, come back.

    Args:
        rho: length of the ascent step.
        bn_update: ``both`` passes update BatchNorm's running statistics, as in the released
            Saddle-LongTail code, or only the ``first``.
        schedule: course of the radius over training.
    """

    rho: float
    bn_update: BatchNormUpdate = "both"
    schedule: Schedule = "constant"

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad`` with the gradient at the perturbed parameters."""
        parameters = objective.parameters
        each = objective.losses()
        gradients = torch.autograd.grad(each.mean(), parameters, materialize_grads=True)
        offsets = ascent(
            gradients, scheduled(self.rho, self.schedule, objective.epoch, objective.epochs)
        )
        frozen = frozen_statistics(objective.model, active=self.bn_update == "first")
        with perturbed(parameters, offsets), frozen:
            objective.losses().mean().backward()
        return each.detach()
