"""Low-pass filter SGD (Bisla et al. 2022): the gradient of a loss smoothed by Gaussian noise.

The noise of a filter (a row of a weight of two or more dimensions) has the standard deviation
γ ‖w_filter‖, that of a vector γ ‖w‖. γ grows from its value to ``growth`` times it along a half
cosine. A batch is cut into parts, each with noise of its own.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.objective import Objective
from trainers.rules.perturbation import perturbed


@dataclass(frozen=True)
class LowPassSGD:
    """Compute the mean gradient at randomly displaced parameters.

    Args:
        gamma: noise in units of a filter's norm.
        growth: its last value over its first.
        parts: parts of a batch.
    """

    gamma: float
    growth: float = 1.0
    parts: int = 1

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad``; return the losses at the displaced parameters."""
        course = (1 - math.cos(math.pi * objective.progress)) / 2
        gamma = self.gamma * (1 + (self.growth - 1) * course)
        parameters, found = objective.parameters, []
        size = len(objective.labels)
        pieces = objective.split(min(self.parts, size))
        for piece in pieces:
            noise = [_filter_noise(p, gamma, objective.generator) for p in parameters]
            with perturbed(parameters, noise):
                each = piece.losses()
                (each.sum() / size).backward()
            found.append(each.detach())
        if objective.logits is None:
            objective.logits = torch.cat([p.logits for p in pieces if p.logits is not None])
        return torch.cat(found)


def _filter_noise(weight: Tensor, gamma: float, generator: torch.Generator) -> Tensor:
    flat = weight.detach().flatten(1) if weight.dim() > 1 else weight.detach()[None]
    norms = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
    noise = torch.empty_like(flat).normal_(generator=generator)
    return (gamma * norms * noise).view_as(weight)
