"""The interface of a regulariser: it adds its gradient after the rule's, and may do more."""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from trainers.data.images import Images
from trainers.models.network import Network
from trainers.objective import Objective
from trainers.rules.rule import StageChoice


class Regulariser(Protocol):
    """Add a term to the objective that is a function of the parameters."""

    groups: Tensor | None  # (K,) group of each class, where it forms groups
    stage: StageChoice  # in which it acts

    def add(self, objective: Objective) -> None:
        """Change ``p.grad`` from the rule's direction to that of the whole objective."""
        ...

    def state(self) -> dict[str, Any]:
        """Return tensors and plain types."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the result of :meth:`state`."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """Prepare for the classes of a run."""

    def begin(self, num_classes: int) -> None:
        """Prepare for training on a number of classes."""
        ...


@runtime_checkable
class SeesEpochs(Protocol):
    """Look at the network after every epoch."""

    def end_epoch(
        self,
        objective: Objective,
        train: Images,
        test: Images,
        generator: torch.Generator,
    ) -> None:
        """Update from the network after an epoch.

        Args:
            objective: of the last batch; its ``epoch`` is the one that ended, counted from 0.
            train: un-augmented training set.
            test: test set.
            generator: of random draws, on the CPU.
        """
        ...


@runtime_checkable
class Projects(Protocol):
    """Keep the weights in a set."""

    def project(self, model: Network) -> None:
        """Move the weights into the set, before the first step of a stage and after each."""
        ...


@runtime_checkable
class ScalesLoss(Protocol):
    """Scale the loss that the rule sees."""

    def loss_scale(self, progress: float) -> float:
        """Return the factor of the loss.

        Args:
            progress: share of the stage's epochs that is over.
        """
        ...
