"""Where checkpoints come from: a run of ours, or a model of one's own."""

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor, nn

from landscape.subject.data import LabelledData
from landscape.subject.subject import Subject

Follow = Callable[[Tensor, Tensor], list[Tensor]]


class Source(Protocol):
    """Checkpoints of one architecture, and the data they are judged on."""

    @property
    def facts(self) -> dict[str, Any]:
        """Stored configuration: plan, class_names, class_counts, data_sha256."""
        ...

    @property
    def train(self) -> LabelledData:
        """Training samples, un-augmented."""
        ...

    @property
    def test(self) -> LabelledData:
        """Samples on which accuracy is judged."""
        ...

    @property
    def batch_size(self) -> int | None:
        """Samples of a training step; ``None`` where that is not known."""
        ...

    def checkpoint_names(self) -> list[str]:
        """Names in the order of training."""
        ...

    def subject(self, checkpoint: str, logit_scale: float | None) -> Subject:
        """Open a checkpoint; ``logit_scale`` is that of a cosine classifier."""
        ...

    def model(self, checkpoint: str) -> nn.Module:
        """Build a checkpoint's network with its weights, on the CPU."""
        ...

    def load_other(self, word: str) -> nn.Module:
        """Build a network that is named by this source's checkpoint, or by a path."""
        ...

    def redrawn(self, seed: int) -> LabelledData:
        """Training samples augmented anew at every reading."""
        ...

    def rule_direction(self, checkpoint: str) -> Follow:
        """Give what the training's rule would follow on a batch."""
        ...


def checkpoint_name(word: str) -> str:
    """Spell a checkpoint's name out: 50 is epoch_0050."""
    return f"epoch_{int(word):04d}" if word.isdigit() else word
