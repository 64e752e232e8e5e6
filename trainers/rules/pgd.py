"""Perturbed gradient descent (Jin et al. 2021): isotropic noise on the gradient leaves saddles."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.objective import Objective


@dataclass(frozen=True)
class PerturbedGradientDescent:
    """Add noise N(0, r²/d I) to the batch gradient.

    Args:
        radius: r, the root mean square length of the noise over all d parameters.
    """

    radius: float

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad``."""
        each = objective.losses()
        each.mean().backward()
        parameters = [p for p in objective.parameters if p.grad is not None]
        deviation = self.radius / sum(p.numel() for p in parameters) ** 0.5
        for p in parameters:
            noise = torch.empty_like(p).normal_(generator=objective.generator)
            assert p.grad is not None
            p.grad.add_(noise, alpha=deviation)
        return each.detach()
