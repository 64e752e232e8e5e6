"""What a loss may depend on besides logits and labels."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from trainers.config import Precision
from trainers.losses.cross_entropy import PerSample

if TYPE_CHECKING:
    from trainers.models.network import Network


@dataclass(frozen=True)
class Scored:
    """Hold a batch that went through the network.

    Args:
        model: whose head makes the logits.
        features: (V B, D), penultimate, of V views one after the other.
        labels: (B,).
        given: (B, K) logits in place of the head's.
        within: (B,) groups of samples that alone are compared with each other.
    """

    model: "Network"
    features: Tensor
    labels: Tensor
    given: Tensor | None = None
    within: Tensor | None = None

    @cached_property
    def logits(self) -> Tensor:
        """Return the logits (B, K) of the first view."""
        if self.given is not None:
            return self.given
        found: Tensor = self.model.head(self.features[: len(self.labels)])
        return found


Criterion = Callable[[Scored], Tensor]  # -> losses (B,)


@runtime_checkable
class NetworkLoss(Protocol):
    """Depend on the features or on further parts of the network."""

    def of_network(self, batch: Scored) -> Tensor:
        """Return losses (B,)."""
        ...


@runtime_checkable
class Situated(Protocol):
    """Depend on the epoch or on chance."""

    def at(self, epoch: int, epochs: int, generator: torch.Generator) -> PerSample | NetworkLoss:
        """Return the loss of a step.

        Args:
            epoch: of the stage, from 0.
            epochs: of the stage.
            generator: of random draws, on the labels' device.
        """
        ...


@runtime_checkable
class Keyed(Protocol):
    """Compare each batch with what came before, which a checkpoint has to hold."""

    def prepare(
        self, model: "Network", inputs: Tensor, labels: Tensor, precision: Precision
    ) -> Tensor:
        """Take in a batch (V B, …) of V views and its labels (B,); return what is trained on."""
        ...

    def state(self) -> dict[str, Any]:
        """Return tensors and plain types."""
        ...

    def restore(self, state: dict[str, Any], model: "Network") -> None:
        """Restore the result of :meth:`state`, beside the network in training."""
        ...


ClassifierLoss = PerSample | Situated
