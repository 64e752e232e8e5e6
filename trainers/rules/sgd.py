"""The gradient of the mean batch loss."""

from dataclasses import dataclass

from torch import Tensor, nn

from trainers.rules.rule import Losses


@dataclass(frozen=True)
class SGD:
    """Plain backward pass."""

    def __call__(self, model: nn.Module, losses: Losses, labels: Tensor) -> Tensor:  # noqa: ARG002
        """Fill ``p.grad`` with the gradient of the mean loss."""
        each = losses()
        each.mean().backward()
        return each.detach()
