"""Friendly SAM (Li et al. 2024).

The batch gradient is the full gradient plus noise; ascending along the noise alone, d = g - σ m
with m the running mean of g, keeps what makes SAM generalise. In the first step m is g and nothing
is taken out.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from trainers.objective import Objective
from trainers.rules.perturbation import BatchNormUpdate, ascent, frozen_statistics, perturbed


@dataclass
class RunningMean:
    """Keep an exponential mean of gradients; the first one starts it.

    Args:
        decay: weight of the past.
        values: the mean, one tensor a parameter; empty before the first gradient.
    """

    decay: float
    values: list[Tensor] = field(default_factory=list)

    def without(self, gradients: list[Tensor], sigma: float) -> list[Tensor]:
        """Return g - σ m with the mean before this gradient, which then enters it."""
        if not self.values:
            self.values = [g.clone() for g in gradients]
            return gradients
        rest = [g - sigma * m for g, m in zip(gradients, self.values, strict=True)]
        for m, g in zip(self.values, gradients, strict=True):
            m.lerp_(g, 1 - self.decay)
        return rest


class FriendlySAM:
    """Apply SAM with an ascent step from which the gradient's running mean is subtracted.

    Args:
        rho: length of the ascent step.
        sigma: share of the mean that is taken out.
        decay: of the mean.
        bn_update: which passes update BatchNorm's running statistics.
    """

    def __init__(
        self,
        rho: float,
        sigma: float = 1.0,
        decay: float = 0.9,
        bn_update: BatchNormUpdate = "first",
    ) -> None:
        self._rho, self._sigma, self._bn_update = rho, sigma, bn_update
        self._mean = RunningMean(decay)

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad`` with the gradient at the perturbed parameters."""
        parameters = objective.parameters
        each = objective.losses()
        gradients = torch.autograd.grad(each.mean(), parameters, materialize_grads=True)
        direction = self._mean.without(list(gradients), self._sigma)
        frozen = frozen_statistics(objective.model, active=self._bn_update == "first")
        with perturbed(parameters, ascent(direction, self._rho)), frozen:
            objective.losses().mean().backward()
        return each.detach()

    def state(self) -> dict[str, Any]:
        """Return the running mean."""
        return {"mean": self._mean.values}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a running mean."""
        self._mean.values = state["mean"]
