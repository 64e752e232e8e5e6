"""Adaptive sharpness-aware minimisation (Kwon et al. 2021, Eq. 5).

ε = ρ T² g / ‖T g‖ with T = |w| + η, which makes the sharpness invariant to rescaling layers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.objective import Objective
from trainers.rules.perturbation import BatchNormUpdate, ascent, frozen_statistics, perturbed


@dataclass(frozen=True)
class ASAM:
    """Perturb each parameter in proportion to its magnitude, then descend as SAM.

    Args:
        rho: radius, in units of the parameters.
        eta: added to |w|, for parameters at zero.
        bn_update: which passes update BatchNorm's running statistics.
    """

    rho: float
    eta: float = 0.01
    bn_update: BatchNormUpdate = "both"

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad`` with the gradient at the perturbed parameters."""
        parameters = objective.parameters
        each = objective.losses()
        gradients = torch.autograd.grad(each.mean(), parameters, materialize_grads=True)
        scales = [p.detach().abs() + self.eta for p in parameters]
        frozen = frozen_statistics(objective.model, active=self.bn_update == "first")
        with perturbed(parameters, ascent(gradients, self.rho, scales)), frozen:
            objective.losses().mean().backward()
        return each.detach()
