"""Start a run from the state of another: they share their epochs until then.

Two methods that differ only later, such as ``ce`` and ``ce-drw`` before its weights come in, are
trained once for their common part; and a method can be taken up at a checkpoint of another.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape.errors import InputError
from landscape.results.atomic import atomic_write
from trainers.config import Plan
from trainers.runs.checkpoint import load_checkpoint, save_checkpoint
from trainers.runs.folder import RunFolder
from trainers.runs.state import restore, training_state
from trainers.trainer import Trainer

# of a plan, what may differ after a fork
_FREE = {
    "method",
    "settings",
    "reweighting_epoch",
    "checkpoints",
    "checkpoint_steps",
    "eval_every",
    "states",
}


@dataclass(frozen=True)
class ForkPoint:
    """Hold the state from which a run starts."""

    folder: RunFolder
    path: Path
    content: dict[str, Any]

    @property
    def epoch(self) -> int:
        """Return the number of epochs that the runs share."""
        return int(self.content["epoch"])

    def facts(self) -> dict[str, Any]:
        """Return the entries of ``config.json`` about it."""
        return {"run": str(self.folder.path), "method": self.folder.plan().method} | {
            "epoch": self.epoch
        }


def open_origin(path: Path, plan: Plan, data_sha256: str) -> ForkPoint:
    """Read the state of another run and check that a plan can continue from it.

    Args:
        path: ``RUN/checkpoints/state_0160.pt`` or ``last.pt``.
        plan: of the new run.
        data_sha256: fingerprint of its training data.

    Raises:
        InputError: the file is no whole state, or the runs differ in more than their method.
    """
    content = load_checkpoint(path)
    if "optimizer" not in content:
        raise InputError(
            f"'{path}' holds weights alone; a fork needs the whole state: train the other run with "
            f"--states {content['epoch']}, or give its last.pt"
        )
    if content.get("part"):
        raise InputError(
            f"'{path}' was stopped within epoch {content['epoch'] + 1}; let its own run go on "
            "first, or give a state_*.pt"
        )
    folder = RunFolder(path.parent.parent)
    before, after = folder.plan().to_dict(), plan.to_dict()
    if folder.config()["data_sha256"] != data_sha256:
        raise InputError(
            f"'{path}' was trained on other data (another fingerprint), which a fork shares: give "
            "--data, --imbalance and --classes of that run"
        )
    names = [name for name in {**before, **after} if name not in _FREE]
    differing = [name for name in names if after.get(name) != before.get(name)]
    if differing:
        name = differing[0]
        raise InputError(
            f"'{path}' cannot be gone on from: its {name} is {before.get(name)}, asked for "
            f"{after.get(name)}; a fork shares data, network, recipe, precision and seed"
        )
    return ForkPoint(folder, path, content)


def start_from(origin: ForkPoint, trainer: Trainer, folder: RunFolder) -> None:
    """Start a new run from the state of another, with its metrics and checkpoints until then.

    What the other rule or regulariser carried is taken up by the same one only.

    Args:
        origin: where to start.
        trainer: of the new run.
        folder: prepared, without a state of its own.
    """
    before, after = origin.folder.plan().parsed.words, trainer.plan.parsed.words
    carried = {
        name: origin.content[name] if before[name] == after[name] else None
        for name in ("rule", "regulariser")
    }
    restore(trainer, origin.content | carried, origin.path)
    folder.write_metrics([e for e in origin.folder.metrics() if e["epoch"] <= origin.epoch])
    for epoch in trainer.plan.checkpoints:
        shared = origin.folder.checkpoint(f"epoch_{epoch:04d}")
        if epoch <= origin.epoch and shared.is_file():
            atomic_write(folder.checkpoint(shared.stem), shared.read_bytes())
    save_checkpoint(training_state(trainer), folder.last)
