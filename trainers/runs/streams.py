"""The random streams of a training, and the part of an epoch at whose end one was told to stop."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from trainers.trainer import Trainer


@dataclass(frozen=True)
class Part:
    """The steps of an epoch that are done.

    Args:
        streams: as the epoch began, from which its order and batches are drawn again.
        steps: taken since.
        loss: sum over their samples.
        correct: predictions among them.
    """

    streams: dict[str, Any]
    steps: int
    loss: float
    correct: int


def streams(trainer: "Trainer") -> dict[str, Any]:
    """Return the state of the generators and of the sampler, in tensors and plain types."""
    on_cuda = trainer.device.type == "cuda"
    return {
        "cycles": trainer.cycles.state(),
        "order": trainer.order.get_state(),
        "augmentation": trainer.augmentation.get_state(),
        "rng": torch.get_rng_state(),
        "rng_cuda": torch.cuda.get_rng_state(trainer.device) if on_cuda else None,
    }


def restore_streams(trainer: "Trainer", stored: dict[str, Any]) -> None:
    """Restore what :func:`streams` returned."""
    if "cycles" in stored:  # not in states of before samplers went on
        trainer.cycles.restore(stored["cycles"])
    trainer.order.set_state(stored["order"])
    trainer.augmentation.set_state(stored["augmentation"])
    torch.set_rng_state(stored["rng"])
    if trainer.device.type == "cuda":
        torch.cuda.set_rng_state(stored["rng_cuda"], trainer.device)
