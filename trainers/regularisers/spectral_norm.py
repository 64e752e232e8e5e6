"""Spectral normalisation (Miyato et al. 2018): weights are divided by their largest singular value.

σ₁ is estimated by one power iteration a step. The weights are kept normalised, W = W/σ₁, and their
gradient G is that through the normalisation, G - ⟨G, W⟩ u vᵀ, with u and v the singular vectors.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from trainers.models.network import Network
from trainers.objective import Objective
from trainers.rules.rule import StageChoice

_FIRST_ITERATIONS = 15


class SpectralNorm:
    """Keep the largest singular value of the trained weights at one.

    Args:
        stage: whose weights are normalised.
    """

    groups: Tensor | None = None

    def __init__(self, stage: StageChoice = "first") -> None:
        self.stage = stage
        self._vectors: dict[str, dict[str, Tensor]] = {}  # u and v of each weight, by its name

    def project(self, model: Network) -> None:
        """Divide the trained weights by their largest singular values."""
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if weight.requires_grad and weight.dim() > 1:
                    weight.div_(self._largest(name, weight.flatten(1)))

    def add(self, objective: Objective) -> None:
        """Take the part out of the gradients that would change the largest singular values."""
        for name, weight in objective.model.named_parameters():
            if name not in self._vectors or weight.grad is None:
                continue
            u, v = (self._vectors[name][key] for key in ("u", "v"))
            along = (weight.grad * weight.detach()).sum()
            weight.grad.sub_((along * torch.outer(u, v)).view_as(weight))

    def _largest(self, name: str, matrix: Tensor) -> Tensor:
        iterations = 1
        if name not in self._vectors:
            start = torch.randn(matrix.shape[1], generator=torch.Generator().manual_seed(0))
            self._vectors[name] = {"v": F.normalize(start.to(matrix), dim=0)}
            iterations = _FIRST_ITERATIONS
        vectors = self._vectors[name]
        for _ in range(iterations):
            vectors["u"] = F.normalize(matrix @ vectors["v"], dim=0)
            vectors["v"] = F.normalize(matrix.T @ vectors["u"], dim=0)
        return vectors["u"] @ matrix @ vectors["v"]

    def state(self) -> dict[str, Any]:
        """Return the singular vectors."""
        return {"vectors": self._vectors}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the result of :meth:`state`."""
        self._vectors = state["vectors"]
