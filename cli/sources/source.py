"""The interface of a source of checkpoints: a run of ``tailscape train``, or an external model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from landscape.analyses.stability import TrainingStep
from landscape.subject.data import LabelledData
from landscape.subject.loss import Loss
from landscape.subject.subject import Subject

RuleDirection = Callable[[Tensor, Tensor], list[Tensor]]


class CheckpointSource(Protocol):
    """Checkpoints of one architecture, and the data they are evaluated on."""

    @property
    def facts(self) -> dict[str, Any]:
        """Return the stored configuration: plan, class_names, class_counts, data_sha256."""
        ...

    @property
    def train(self) -> LabelledData:
        """Return the training samples, without augmentation."""
        ...

    @property
    def test(self) -> LabelledData:
        """Return the samples on which accuracy is computed."""
        ...

    @property
    def batch_size(self) -> int | None:
        """Return the number of samples of a training step; ``None`` if it is unknown."""
        ...

    def checkpoint_names(self) -> list[str]:
        """List the checkpoints in the order of training."""
        ...

    def subject(self, checkpoint: str, logit_scale: float | None) -> Subject:
        """Open a checkpoint; ``logit_scale`` replaces that of a cosine classifier."""
        ...

    def model(self, checkpoint: str) -> nn.Module:
        """Build the network with a checkpoint's weights, on the CPU."""
        ...

    def load_other(self, word: str) -> nn.Module:
        """Build a network from the name of a checkpoint of this source, or from a path."""
        ...

    def other(self, root: Path, *, known: bool) -> LabelledData:
        """Open a tree of other images, of the network's classes or of unknown ones."""
        ...

    def redrawn(self, seed: int) -> LabelledData:
        """Return the training samples, with a new augmentation at every read."""
        ...

    def training_step(self, checkpoint: str) -> TrainingStep | None:
        """Return the training's step up to a checkpoint; ``None`` if it is unknown."""
        ...

    def trained_loss(self, checkpoint: str) -> Loss | None:
        """Return the loss that training descended at a checkpoint; ``None`` if it is unknown."""
        ...

    def rule_direction(self, checkpoint: str) -> RuleDirection:
        """Return the function from a batch to the direction of the training's rule."""
        ...
