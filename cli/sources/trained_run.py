"""A run of ``tailscape train`` as a source of checkpoints."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cli.sources.source import RuleDirection
from landscape.analyses.stability import TrainingStep
from landscape.errors import InputError
from landscape.results.checkpoint_names import spelled
from landscape.subject.data import LabelledData
from landscape.subject.loss import Loss
from landscape.subject.subject import Subject
from trainers import reopen
from trainers.data.catalogue import LongTailedData
from trainers.data.evaluation import open_evaluation
from trainers.data.images import Redrawn
from trainers.reopen import load_model, open_run_data, open_subject
from trainers.runs.folder import RunFolder
from trainers.runs.trained_loss import trained_loss


@dataclass(frozen=True)
class TrainedRun:
    """A run folder and its data."""

    folder: RunFolder
    data: LongTailedData
    device: torch.device
    workers: int = 0

    @property
    def facts(self) -> dict[str, Any]:
        """Return the stored configuration."""
        return self.folder.config()

    @property
    def train(self) -> LabelledData:
        """Return the training samples, without augmentation."""
        return self.data.train

    @property
    def test(self) -> LabelledData:
        """Return the test set."""
        return self.data.test

    @property
    def batch_size(self) -> int | None:
        """Return the number of samples of a training step."""
        return self.folder.plan().recipe.batch_size

    def checkpoint_names(self) -> list[str]:
        """List the saved epochs in order."""
        return self.folder.checkpoint_names()

    def subject(self, checkpoint: str, logit_scale: float | None) -> Subject:
        """Open a checkpoint."""
        return open_subject(self.folder, checkpoint, self.data, self.device, logit_scale)

    def model(self, checkpoint: str) -> nn.Module:
        """Build a checkpoint's network, without the parts that only training uses."""
        return _load_network(self.folder, checkpoint, self.data)

    def load_other(self, word: str) -> nn.Module:
        """Build the network of ``NAME``, ``RUN:NAME``, or of the last checkpoint of ``RUN``."""
        run, colon, checkpoint = word.rpartition(":")
        if colon:
            folder = RunFolder(Path(run).expanduser())
            return _load_network(folder, spelled(checkpoint, folder.checkpoint_names()), self.data)
        path = Path(word).expanduser()
        if not path.is_dir() and "/" not in word:
            return self.model(spelled(word, self.checkpoint_names()))
        folder = RunFolder(path)
        names = folder.checkpoint_names()
        if not names:
            raise InputError(f"'{word}' has no checkpoint to mark; run 'tailscape train' on it")
        return _load_network(folder, names[-1], self.data)

    def other(self, root: Path, *, known: bool) -> LabelledData:
        """Open a tree of other images, of the network's classes or of unknown ones."""
        return open_evaluation(root, self.data, self.device, known=known, workers=self.workers)

    def redrawn(self, seed: int) -> LabelledData:
        """Return the training samples, with a new augmentation at every read."""
        return Redrawn(self.data.train, torch.Generator(self.device).manual_seed(seed))

    def training_step(self, checkpoint: str) -> TrainingStep:
        """Return the training's step in the epoch that ended at a checkpoint."""
        plan, metrics = self.folder.plan(), self.folder.metrics()
        epoch = int(checkpoint[6:]) if checkpoint[6:].isdigit() else plan.recipe.epochs
        rates = {entry["epoch"]: entry["lr"] for entry in metrics}
        rho = plan.settings.get("rule", {}).get("rho")
        return TrainingStep(
            rates.get(max(epoch, 1), plan.recipe.lr),
            plan.recipe.momentum,
            plan.recipe.weight_decay,
            rho if isinstance(rho, float) else None,
            plan.recipe.batch_size,
        )

    def trained_loss(self, checkpoint: str) -> Loss | None:
        """Return the loss of the epoch that ended at a checkpoint."""
        return trained_loss(self.folder, checkpoint, self.data)

    def rule_direction(self, checkpoint: str) -> RuleDirection:
        """Return the function from a batch to the direction of the method's rule."""
        return reopen.rule_direction(self.folder, checkpoint, self.data)


def open_run(
    path: Path, device: torch.device, root: Path | None = None, workers: int = 0
) -> TrainedRun:
    """Open a run folder; its data are cached for the next call.

    Args:
        path: the run folder.
        device: where to compute.
        root: folder of the data's files. Default: that of the training.
        workers: decoding processes of images read lazily.

    Raises:
        InputError: it is not a run, or its data are missing or changed.
    """
    folder = RunFolder(path)
    data = _data(path, device, root, workers, folder.config()["data_sha256"])
    return TrainedRun(folder, data, device, workers)


def _load_network(folder: RunFolder, checkpoint: str, data: LongTailedData) -> nn.Module:
    model = load_model(folder, checkpoint, data)
    model.contrast = None  # not part of the network that is evaluated
    return model


@lru_cache(maxsize=1)
def _data(
    run: Path, device: torch.device, root: Path | None, workers: int, _fingerprint: str
) -> LongTailedData:
    return open_run_data(RunFolder(run), device, root, workers)
