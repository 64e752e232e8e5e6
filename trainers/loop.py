"""Training: epochs, metrics, checkpoints, and exact resume.

Everything an epoch depends on is in ``last.pt``: weights, optimiser, the state of the generators
of order and augmentation, and torch's own. On the CPU a run that was stopped after any epoch ends
with the weights, bit for bit, of one that was not.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from landscape.accuracy import group_accuracy, judge
from landscape.errors import InputError
from landscape.groups import GROUPS
from trainers.checkpoint import load_checkpoint, load_weights, save_checkpoint
from trainers.config import Plan
from trainers.data.catalogue import LongTailedData
from trainers.models.catalogue import build_model
from trainers.models.heads import HeadName
from trainers.rules.rule import Rule
from trainers.run import RunFolder
from trainers.schedule import learning_rate
from trainers.weighting import sample_weights

Report = Callable[[dict[str, Any]], None]
Criterion = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Architecture:
    """What it takes to build a checkpoint's network."""

    model: str
    num_classes: int
    channels: int
    head: HeadName
    scale: float

    def build(self) -> nn.Module:
        """Build the network with random weights."""
        return build_model(self.model, self.num_classes, self.channels, self.head, self.scale)


def architecture_of(plan: Plan, data: LongTailedData) -> Architecture:
    """Derive the network from a plan and its data."""
    head = plan.parsed.parts["loss"].head
    scale = float(plan.settings["loss"].get("scale", 1.0)) if head == "cosine" else 1.0
    return Architecture(plan.model, len(data.class_names), data.channels, head, scale)


class Trainer:
    """One run in memory: model, optimiser, generators, and the epoch reached.

    Args:
        plan: the resolved configuration.
        data: training and test set.
        device: where to compute.
    """

    def __init__(self, plan: Plan, data: LongTailedData, device: torch.device) -> None:
        self.plan, self.data, self.device = plan, data, device
        torch.manual_seed(plan.seed)
        self.architecture = architecture_of(plan, data)
        self.model = self.architecture.build().to(device)
        recipe = plan.recipe
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        self.order = torch.Generator().manual_seed(plan.seed)
        self.augmentation = torch.Generator(device).manual_seed(plan.seed)
        self.epoch = 0
        counts = torch.tensor(data.class_counts)
        parts, settings = plan.parsed.parts, plan.settings
        self._criterion: Criterion = parts["loss"].build(class_counts=counts, **settings["loss"])
        self.rule: Rule = parts["rule"].build(**settings["rule"])
        weights = parts["weighting"].load()
        self._weights = lambda epoch: weights(counts, epoch, recipe.epochs, **settings["weighting"])

    def train_epoch(self) -> dict[str, Any]:
        """Train one epoch and return its metrics; the test set is judged when it is due."""
        started = time.perf_counter()
        recipe = self.plan.recipe
        rate = learning_rate(recipe, self.epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss, correct, seen = self._steps(self._weights(self.epoch))
        self.epoch += 1
        entry = {
            "epoch": self.epoch,
            "lr": rate,
            "train_loss": loss / seen,
            "train_accuracy": correct / seen,
            "train_seconds": time.perf_counter() - started,
        }
        if self.epoch % self.plan.eval_every == 0 or self.epoch == recipe.epochs:
            entry |= self.evaluate()
        return entry | {"seconds": time.perf_counter() - started}

    def evaluate(self) -> dict[str, Any]:
        """Judge the test set: loss, and accuracy overall and of each group (None if empty)."""
        self.model.eval()
        confusion, loss = judge(self.model, self.data.test, len(self.data.class_names))
        split, _, groups = group_accuracy(confusion, self.data.class_counts, self.plan.split)
        found = {
            f"test_{name}": None if value != value else float(value)
            for name, value in zip(("accuracy", *GROUPS), groups, strict=True)
        }
        return {"test_loss": loss, **found, "split": split}

    def step(self, inputs: Tensor, labels: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        """Take one optimiser step; return the sum of losses and the count of correct (device)."""
        factor = sample_weights(weights, labels)
        first: list[Tensor] = []

        def losses() -> Tensor:
            logits = self.model(inputs)
            if not first:
                first.append(logits.detach())
            each = self._criterion(logits, labels)
            return each if factor is None else each * factor

        self.optimizer.zero_grad(set_to_none=True)
        each = self.rule(self.model, losses, labels)
        self.optimizer.step()
        return each.sum(), (first[0].argmax(dim=1) == labels).sum()

    def _steps(self, weights: Tensor | None) -> tuple[float, int, int]:
        self.model.train()
        size, samples = self.plan.recipe.batch_size, len(self.data.train.labels)
        order = torch.randperm(samples, generator=self.order)
        if self.plan.recipe.drop_last and samples > size:
            order = order[: samples - samples % size]
        loss = torch.zeros((), dtype=torch.float64, device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        for inputs, labels in self.data.train.batches(order, size, self.augmentation):
            batch_loss, batch_correct = self.step(inputs, labels, weights)
            loss += batch_loss
            correct += batch_correct
        if not torch.isfinite(loss):
            raise InputError(
                f"the training loss is {float(loss)} in epoch {self.epoch + 1}; lower --lr or --rho"
            )
        return float(loss), int(correct), len(order)

    @property
    def _on_cuda(self) -> bool:
        return self.device.type == "cuda"

    def state(self) -> dict[str, Any]:
        """Return all that the next epoch depends on, in tensors and plain types."""
        return self.weights() | {
            "optimizer": self.optimizer.state_dict(),
            "order": self.order.get_state(),
            "augmentation": self.augmentation.get_state(),
            "rng": torch.get_rng_state(),
            "device": self.device.type,
            "rng_cuda": torch.cuda.get_rng_state(self.device) if self._on_cuda else None,
        }

    def weights(self) -> dict[str, Any]:
        """Return the network at this epoch and what it takes to rebuild it."""
        return {
            "model": self.model.state_dict(),
            "epoch": self.epoch,
            "architecture": asdict(self.architecture),
        }

    def restore(self, folder: RunFolder) -> None:
        """Go back to the state of ``last.pt``.

        Raises:
            InputError: it is damaged, of another architecture, or was left on another device.
        """
        stored = load_checkpoint(folder.last)
        if stored["device"] != self.device.type:
            raise InputError(
                f"'{folder.path}' was stopped on {stored['device']} and its random streams go on "
                f"only there; use --device {stored['device']}"
            )
        load_weights(self.model, stored["model"], folder.last)
        self.optimizer.load_state_dict(stored["optimizer"])
        self.order.set_state(stored["order"])
        self.augmentation.set_state(stored["augmentation"])
        torch.set_rng_state(stored["rng"])
        if self._on_cuda:
            torch.cuda.set_rng_state(stored["rng_cuda"], self.device)
        self.epoch = int(stored["epoch"])


def fit(trainer: Trainer, folder: RunFolder, report: Report | None = None) -> None:
    """Train to the end, keeping checkpoints and metrics.

    Args:
        trainer: at the epoch reached.
        folder: prepared, and held by this process.
        report: called with the metrics of each epoch and the number of ``epochs``.
    """
    plan = trainer.plan
    entries = [entry for entry in folder.metrics() if entry["epoch"] <= trainer.epoch]
    best = max((e.get("test_accuracy", -1.0) for e in entries), default=-1.0)
    if trainer.epoch == 0:
        save_checkpoint(trainer.weights(), folder.checkpoint("epoch_0000"))
    while trainer.epoch < plan.recipe.epochs:
        entry = trainer.train_epoch()
        entries.append(entry)
        if entry.get("test_accuracy", -1.0) > best:
            best = entry["test_accuracy"]
            save_checkpoint(trainer.weights(), folder.checkpoint("best"))
        if trainer.epoch in plan.checkpoints:
            save_checkpoint(trainer.weights(), folder.checkpoint(f"epoch_{trainer.epoch:04d}"))
        folder.write_metrics(entries)
        save_checkpoint(trainer.state(), folder.last)
        if report is not None:
            report(entry | {"epochs": plan.recipe.epochs})
