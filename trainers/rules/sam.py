"""Sharpness-aware minimisation (Foret et al. 2021).

ε = ρ g / (‖g‖ + 1e-12) with g the gradient of the batch loss over all parameters; the optimiser
follows the gradient at w + ε, taken on the same batch. Weight decay belongs to the optimiser and is
no part of the ascent.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from trainers.rules.perturbation import ascent, frozen_statistics, perturbed
from trainers.rules.rule import Losses


@dataclass(frozen=True)
class SAM:
    """Ascend by ``rho``, take the gradient there, come back.

    Args:
        rho: length of the ascent step.
        bn_update: ``both`` passes update BatchNorm's running statistics, as in the released
            Saddle-LongTail code, or only the ``first``.
    """

    rho: float
    bn_update: Literal["both", "first"] = "both"

    def __call__(self, model: nn.Module, losses: Losses, labels: Tensor) -> Tensor:  # noqa: ARG002
        """Fill ``p.grad`` with the gradient at the perturbed parameters."""
        parameters = [p for p in model.parameters() if p.requires_grad]
        each = losses()
        gradients = torch.autograd.grad(each.mean(), parameters, materialize_grads=True)
        frozen = frozen_statistics(model, active=self.bn_update == "first")
        with perturbed(parameters, ascent(gradients, self.rho)), frozen:
            losses().mean().backward()
        return each.detach()
