"""Model perturbation (Shi et al. 2021, F2M): the mean loss under uniform noise on the weights.

mean_m ∇L(w + ε_m) with ε uniform on [-b, b], on the weights of the last stage's layers or of all.
Where a stage trains none of the last layers, the noise is on the weights that it trains.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainers.objective import Objective
from trainers.rules.class_step import Layers, split_parameters
from trainers.rules.perturbation import perturbed
from trainers.rules.rule import StageChoice


@dataclass(frozen=True)
class ModelPerturbation:
    """Compute the mean gradient over draws of noise.

    Args:
        bound: b.
        draws: of noise, each a forward and a backward pass.
        layers: whose weights are perturbed.
        stage: of training in which it acts.
    """

    bound: float
    draws: int = 2
    layers: Layers = "last"
    stage: StageChoice = "first"

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad``; return the mean losses at the displaced parameters."""
        weights, found = self._weights(objective), []
        for _ in range(self.draws):
            noise = [self._noise(weight, objective.generator) for weight in weights]
            with perturbed(weights, noise):
                each = objective.losses()
                (each.mean() / self.draws).backward()
            found.append(each.detach())
        return torch.stack(found).mean(dim=0)

    def _weights(self, objective: Objective) -> list[nn.Parameter]:
        chosen, _ = split_parameters(objective, self.layers)
        found = [p for p in chosen or objective.parameters if p.dim() > 1]
        return found or objective.parameters

    def _noise(self, weight: Tensor, generator: torch.Generator) -> Tensor:
        drawn = torch.empty_like(weight, requires_grad=False)
        return drawn.uniform_(-self.bound, self.bound, generator=generator)
