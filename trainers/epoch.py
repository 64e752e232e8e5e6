"""An epoch of training: its steps, what they come to, and the test set's evaluation."""

import time
from typing import Any

import torch
from torch import Tensor

from landscape.analyses.accuracy import group_accuracy, judge
from landscape.errors import InputError, Terminated
from landscape.groups import GROUPS
from trainers.data.images import Images
from trainers.data.samplers import epoch_order
from trainers.recipes import learning_rate
from trainers.regularisers.regulariser import SeesEpochs
from trainers.runs.streams import Part, restore_streams, streams
from trainers.trainer import Trainer


def train_epoch(trainer: Trainer) -> dict[str, Any]:
    """Train one epoch and return its metrics; evaluate the test set when due."""
    started = time.perf_counter()
    within = trainer.epoch - trainer.begun
    rate = learning_rate(trainer.stage.recipe, within)
    for group in trainer.optimizer.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)
    loss, correct, seen = _steps(trainer, within)
    trainer.epoch += 1
    entry = {
        "epoch": trainer.epoch,
        "stage": trainer.stage_index + 1,
        "lr": rate,
        "train_loss": loss / seen,
        "train_accuracy": correct / seen,
        "train_seconds": time.perf_counter() - started,
    }
    if trainer.epoch % trainer.plan.eval_every == 0 or trainer.stage_over:
        entry |= evaluate(trainer)
    return entry | {"seconds": time.perf_counter() - started}


def evaluate(trainer: Trainer) -> dict[str, Any]:
    """Evaluate the test set: loss, and accuracy overall and of each group (None if empty)."""
    trainer.model.eval()
    weight, test = next(trainer.model.parameters()), trainer.data.test
    forward = trainer.forward.folded(lambda: _few(test))
    confusion, loss = judge(forward.logits, weight, test, len(trainer.data.class_names))
    split, _, groups = group_accuracy(confusion, trainer.data.class_counts, trainer.plan.split)
    found = {
        f"test_{name}": None if value != value else float(value)
        for name, value in zip(("accuracy", *GROUPS), groups, strict=True)
    }
    return {"test_loss": loss, **found, "split": split}


def _steps(trainer: Trainer, epoch: int) -> tuple[float, int, int]:
    """Take the steps of an epoch, those after the ones that a stopped one took before."""
    trainer.set_training()
    size, part, now = trainer.stage.recipe.batch_size, trainer.part, streams(trainer)
    trainer.part = None
    if part is not None:  # the same order and batches are drawn again
        restore_streams(trainer, part.streams)
    done = Part(streams(trainer), 0, 0.0, 0) if part is None else part
    order = _order(trainer, epoch)
    loss = torch.full((), done.loss, dtype=torch.float64, device=trainer.device)
    correct = torch.full((), done.correct, dtype=torch.int64, device=trainer.device)
    batches = trainer.batches(order, size)
    for _ in range(done.steps):
        next(batches)
    if part is not None:
        restore_streams(trainer, now)
    for step, (inputs, batch_labels, partners) in enumerate(batches, done.steps + 1):
        objective = trainer.step(inputs, batch_labels, epoch, partners)
        assert objective.logits is not None
        loss += objective.each.sum()
        correct += (objective.logits.argmax(dim=1) == batch_labels).sum()
        if trainer.stop_asked() and step * size < len(order):
            trainer.part = Part(done.streams, step, float(loss), int(correct))
            raise Terminated
    if not torch.isfinite(loss):
        raise InputError(
            f"the training loss is {float(loss)} in epoch {trainer.epoch + 1}; lower --lr or --rho"
        )
    if isinstance(trainer.acting, SeesEpochs):
        data = trainer.data
        trainer.acting.end_epoch(objective, data.train, data.test, trainer.order)
    return float(loss), int(correct), len(order)


def _order(trainer: Trainer, epoch: int) -> Tensor:
    """Draw the order of the epoch's samples (N,)."""
    sampler, translation = trainer.stage.sampler, trainer.translation
    if translation is not None and trainer.stage.whole and translation.active(epoch):
        sampler = "balanced"
    order = epoch_order(
        sampler, trainer.data.train.labels, len(trainer.counts), trainer.order, trainer.cycles
    )
    size, recipe = len(order), trainer.stage.recipe
    if recipe.drop_last and size > recipe.batch_size:
        order = order[: size - size % recipe.batch_size]
    return order


def _few(images: Images) -> Tensor:
    """Read two images, to the end: decoding processes do not like to be left."""
    ((inputs, _),) = images.batches(torch.arange(2), 2)
    return inputs
