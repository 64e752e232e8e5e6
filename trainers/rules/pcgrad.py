"""Gradient surgery (Yu et al. 2020) on class gradients."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.objective import Objective
from trainers.rules.class_step import Array, Layers, class_step
from trainers.rules.gradient_weights import pcgrad_weights


@dataclass(frozen=True)
class PCGrad:
    """Average the class gradients, each projected off its conflicts, in random order.

    Args:
        layers: over which class gradients are taken.
        shared_epochs: share of the epochs in which classes are weighed.
    """

    layers: Layers = "last"
    shared_epochs: float = 1.0

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad``."""

        def weights(gram: Array, _: Array) -> Array:
            device = objective.generator.device
            draws = torch.rand(gram.shape, generator=objective.generator, device=device)
            return pcgrad_weights(gram, draws.argsort(dim=1).cpu().numpy())

        return class_step(objective, self.layers, weights, self.shared_epochs)
