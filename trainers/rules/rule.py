"""What a gradient rule is: from a batch's losses to the direction the optimiser follows."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor, nn

Losses = Callable[[], Tensor]


class Rule(Protocol):
    """Fills ``p.grad`` of every trainable parameter; knows neither the loss nor the optimiser."""

    def __call__(self, model: nn.Module, losses: Losses, labels: Tensor) -> Tensor:
        """Take one step's gradients.

        Args:
            model: in training mode, its gradients cleared.
            losses: runs the model on the batch and returns its per-sample losses (B,), weighted so
                that their mean is the batch loss.
            labels: (B,) of the batch.

        Returns:
            The detached per-sample losses at the unperturbed parameters.
        """
        ...
