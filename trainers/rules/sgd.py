"""The gradient of the mean batch loss."""

from dataclasses import dataclass

from torch import Tensor

from trainers.objective import Objective


@dataclass(frozen=True)
class SGD:
    """Compute the gradient of the mean loss."""

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad`` with the gradient of the mean loss."""
        each = objective.losses()
        each.mean().backward()
        return each.detach()
