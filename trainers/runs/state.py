"""The state of a training: everything on which its next epoch depends.

That is weights, optimiser, what rule and regulariser carry, the state of the generators of order
and augmentation, and torch's own; within an epoch, also the streams as it began. On the same CPU
with as many threads a run that was stopped after any epoch, or by SIGTERM after any step, ends with
the weights, bit for bit, of one that was not.
"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from landscape.errors import InputError
from trainers.data.m2m import MajorToMinor
from trainers.losses.loss import Keyed
from trainers.rules.rule import Stateful
from trainers.runs.checkpoint import load_weights
from trainers.runs.streams import Part, restore_streams, streams

if TYPE_CHECKING:
    from trainers.trainer import Trainer


def training_state(trainer: "Trainer") -> dict[str, Any]:
    """Return everything on which the next epoch depends, in tensors and plain types."""
    rule = trainer.stage.rule
    found = trainer.weights() | {
        "stage": trainer.stage_index,
        "steps": trainer.steps,
        "entry": trainer.entry,
        "optimizer": trainer.optimizer.state_dict(),
        "rule": rule.state() if isinstance(rule, Stateful) else None,
        "regulariser": trainer.regulariser.state() if trainer.regulariser else None,
        "device": trainer.device.type,
        "part": asdict(trainer.part) if trainer.part else None,
        **streams(trainer),
    }
    carriers = {"loss": trainer.loss, "transform": trainer.translation}
    return found | {
        name: carrier.state()
        for name, carrier in carriers.items()
        if isinstance(carrier, Keyed | MajorToMinor)
    }


def restore(trainer: "Trainer", stored: dict[str, Any], path: Path) -> None:
    """Restore a stored state.

    Args:
        trainer: of the same plan and data.
        stored: what :func:`training_state` returned; what has no state there begins anew.
        path: of the file, for messages.

    Raises:
        InputError: it is of another architecture, or was left on another device.
    """
    if stored["device"] != trainer.device.type:
        raise InputError(
            f"'{path}' was left on {stored['device']} and its random streams go on "
            f"only there; use --device {stored['device']}"
        )
    load_weights(trainer.model, stored["model"], path)
    trainer.entry = stored.get("entry")
    trainer.enter(int(stored["stage"]))
    trainer.optimizer.load_state_dict(stored["optimizer"])
    if isinstance(trainer.stage.rule, Stateful) and stored["rule"] is not None:
        trainer.stage.rule.restore(_moved(stored["rule"], trainer.device))
    if trainer.regulariser is not None and stored["regulariser"] is not None:
        trainer.regulariser.restore(_moved(stored["regulariser"], trainer.device))
    if isinstance(trainer.loss, Keyed) and stored.get("loss") is not None:
        trainer.loss.restore(_moved(stored["loss"], trainer.device), trainer.model)
    if trainer.translation is not None:
        if stored.get("transform") is None:
            raise InputError(
                f"'{path}' holds no plain network, which m2m trains beside the other from the "
                "first epoch on; fork from a run of m2m, or train it from the start"
            )
        trainer.translation.restore(_moved(stored["transform"], trainer.device))
    restore_streams(trainer, stored)
    trainer.part = Part(**stored["part"]) if stored.get("part") else None
    trainer.epoch, trainer.steps = int(stored["epoch"]), int(stored["steps"])


def _moved(state: Any, device: torch.device) -> Any:
    """Move a state's parameter-sized tensors to a device; small ones stay on the CPU."""
    if isinstance(state, dict):
        kept = {"best", "groups"}
        return {k: v if k in kept else _moved(v, device) for k, v in state.items()}
    if isinstance(state, list):
        return [_moved(part, device) for part in state]
    return state.to(device) if isinstance(state, Tensor) else state
