"""Training in memory: one run's model and optimiser, its steps, epochs and evaluations."""

from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

import torch
from torch import Tensor, distributed

from landscape.errors import InputError
from landscape.groups import GROUPS, split_classes
from trainers.architecture import architecture_of
from trainers.config import Plan
from trainers.data.catalogue import LongTailedData
from trainers.data.images import with_views
from trainers.data.m2m import MajorToMinor
from trainers.data.mixup import Mixed, mixup
from trainers.data.samplers import Cycles, epoch_order
from trainers.forward import CompileMode, ForwardPass
from trainers.losses.loss import Criterion, Keyed, Situated
from trainers.losses.weighting import Mean
from trainers.models.bilateral import Bilateral
from trainers.models.network import Network
from trainers.objective import Objective, criterion_of, on_views
from trainers.regularisers.regulariser import (
    Prepares,
    Projects,
    Regulariser,
    ScalesLoss,
)
from trainers.rules.rule import ChecksData
from trainers.runs.checkpoint import load_checkpoint, load_weights
from trainers.runs.folder import RunFolder
from trainers.runs.streams import Part
from trainers.stages.stage import Stage
from trainers.stages.trained import choose_trained

Report = Callable[[dict[str, Any]], None]
Views = Literal[1, 2, 3]
Batch = tuple[Tensor, Tensor, Tensor | None]  # inputs, labels, and those of a second batch


class Trainer:
    """Hold one run in memory: model, optimiser, generators, and the epoch reached.

    Args:
        plan: the resolved configuration.
        data: training and test set.
        device: where to compute.
        compile_mode: of ``torch.compile``, if the stages are to be compiled.
        initial: changes the random weights to those from which training starts.

    Raises:
        InputError: the method cannot be trained on these data.
    """

    def __init__(
        self,
        plan: Plan,
        data: LongTailedData,
        device: torch.device,
        compile_mode: CompileMode | None = None,
        initial: Callable[[Network], None] | None = None,
    ) -> None:
        self.plan, self.data, self.device = plan, data, device
        torch.manual_seed(plan.seed)
        self.architecture = architecture_of(plan, data)
        self.model = self.architecture.build()
        if initial is not None:
            initial(self.model)
        self.model = self.model.to(device).to(memory_format=torch.channels_last)
        spread = distributed.is_available() and distributed.is_initialized()
        self.forward = ForwardPass(self.model, plan.precision, compile_mode, spread=spread)
        self.order = torch.Generator().manual_seed(plan.seed)
        self.augmentation = torch.Generator(device).manual_seed(plan.seed)
        self.epoch = 0
        self.steps = 0  # optimiser steps so far
        self.entry: dict[str, Any] | None = None  # metrics of the epoch reached
        self.part: Part | None = None  # of the epoch that follows, if it is begun
        self.stop_asked: Callable[[], bool] = lambda: False
        self.after_step: Callable[[], None] | None = None
        self.counts = torch.tensor(data.class_counts, device=device)
        parts, settings = plan.parsed.parts, plan.settings
        self.loss = parts["loss"].build(class_counts=self.counts, **settings["loss"])
        weights = parts["weighting"].load()
        self._weights = lambda epoch: weights(
            self.counts, epoch, plan.recipe.epochs, **settings["weighting"]
        )
        self.regulariser = self._make_regulariser()
        self.translation: MajorToMinor | None = None
        if plan.parsed.words["transform"] == "m2m":
            self.translation = parts["transform"].build(**settings["transform"])
            self.translation.begin(plan, data, self.counts)
        self._groups = _groups_of(data, plan)
        self.stages: tuple[Stage, ...] = parts["stages"].build(plan=plan, **settings["stages"])
        for rule in (stage.rule for stage in self.stages):
            if isinstance(rule, ChecksData):
                rule.check(self.counts)
        self._refuse_idle()
        self.enter(0)
        self._project()

    def _make_regulariser(self) -> Regulariser | None:
        if not self.plan.parsed.words["regulariser"]:
            return None
        part, settings = self.plan.parsed.parts["regulariser"], self.plan.settings["regulariser"]
        made: Regulariser = part.build(**settings)
        if isinstance(made, Prepares):
            made.begin(len(self.data.class_names))
        return made

    @property
    def finished(self) -> bool:
        """Return whether all stages are over."""
        return self.epoch >= self.plan.epochs

    @property
    def keyed(self) -> bool:
        """Return whether the loss compares a batch with what came before."""
        return isinstance(self.loss, Keyed)

    def _refuse_idle(self) -> None:
        """Refuse what acts in a second stage where there is none."""
        for kind in ("regulariser", "rule"):
            stage = self.plan.settings[kind].get("stage", "first")
            if stage != "first" and len(self.stages) == 1:
                raise InputError(
                    f"'{self.plan.method}' has one stage, and {kind}.stage={stage} acts in the "
                    "second; give a base of two, such as crt, or leave the setting out"
                )

    @property
    def acting(self) -> Regulariser | None:
        """Return the regulariser, in the stages in which it acts."""
        places = {"first": (0,), "second": (1,), "both": (0, 1)}
        if self.regulariser is None or self.stage_index not in places[self.regulariser.stage]:
            return None
        return self.regulariser

    def _project(self) -> None:
        """Move the weights into the set in which a regulariser keeps them."""
        if isinstance(self.acting, Projects):
            self.acting.project(self.model)

    @property
    def begun(self) -> int:
        """Return the number of epochs of the stages before the present one."""
        return sum(stage.recipe.epochs for stage in self.stages[: self.stage_index])

    @property
    def stage_over(self) -> bool:
        """Return whether the present stage has had its epochs."""
        return self.epoch >= self.begun + self.stage.recipe.epochs

    def enter(self, index: int) -> None:
        """Enter a stage: its trained parameters and its optimiser."""
        self.stage_index, self.stage = index, self.stages[index]
        recipe = self.stage.recipe
        self.optimizer = torch.optim.SGD(
            choose_trained(self.model, self.stage),
            lr=recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        strong = bool(self.plan.parsed.words["augmentation"])
        self._train = with_views(self.data.train, self.views, strong=strong, jitter=recipe.jitter)
        self.cycles = Cycles()

    def begin_due_stage(self, folder: RunFolder) -> None:
        """Start the next stage when the present one is over.

        Args:
            folder: with the best checkpoint, from which some stages start.
        """
        if self.finished or not self.stage_over:
            return
        if self.stages[self.stage_index + 1].start == "best":
            best = load_checkpoint(folder.checkpoint("best"), self.device)
            load_weights(self.model, best["model"], folder.checkpoint("best"))
        self.enter_following()

    def enter_following(self) -> None:
        """Enter the next stage from the present weights."""
        following = self.stages[self.stage_index + 1]
        if following.initialise == "anew":
            self.model.head.load_state_dict(self.architecture.build().head.state_dict())
        if following.prepare is not None:
            following.prepare(self.model)
        self.enter(self.stage_index + 1)
        self._project()

    @property
    def views(self) -> Views:
        """Return the number of views of an image that the stage's loss is of."""
        views: Views = self.plan.parsed.parts["loss"].views
        return views if self.stage.whole else 1

    def loss_at(self, epoch: int) -> Any:
        """Return the stage's loss in an epoch, counted from 0."""
        loss: Any = self.loss if self.stage.whole else self.stage.loss(self.counts)
        if isinstance(loss, Situated):
            loss = loss.at(epoch, self.stage.recipe.epochs, self.augmentation)
        return loss

    def class_weights(self, epoch: int) -> Tensor | None:
        """Return the stage's class weights (K,) in an epoch, counted from 0."""
        return self._weights(epoch) if self.stage.whole else None

    def _criterion(self, epoch: int) -> Criterion:
        loss = self.loss_at(epoch)
        return on_views(loss) if self.views == 3 else criterion_of(loss)

    def objective(
        self, inputs: Tensor, labels: Tensor, epoch: int, partners: Tensor | None = None
    ) -> Objective:
        """Build the objective of a batch.

        Args:
            inputs: (V B, …) augmented images; of pairs, those of the second batch follow.
            labels: (B,).
            epoch: of the stage, from 0.
            partners: (B,) labels of the second batch; default: the first's.
        """
        whole = self.stage.whole
        made = Objective(
            self.forward,
            inputs,
            labels,
            self._criterion(epoch),
            self.counts,
            weights=self.class_weights(epoch),
            weight_mean=cast(Mean, self.plan.settings["weighting"].get("mean", "weights")),
            groups=self._groups,
            epoch=epoch,
            epochs=self.stage.recipe.epochs,
            generator=self.augmentation,
        )
        if self.regulariser is not None and self.regulariser.groups is not None:
            made.groups = self.regulariser.groups
        if isinstance(self.acting, ScalesLoss):
            made.scale = self.acting.loss_scale(made.progress)
        if (whole or self.stage.mixed) and self.plan.parsed.words["transform"] == "mixup":
            alpha = float(self.plan.settings["transform"]["alpha"])
            by_sample = inputs.view(-1, len(labels), *inputs.shape[1:]).transpose(0, 1)
            made.mixed = mixup(by_sample, labels, alpha, self.order)
            made.inputs = made.mixed.inputs.transpose(0, 1).flatten(0, 1)
        if self.stage.paired is not None:
            assert isinstance(self.model, Bilateral)
            share = 1 - made.progress**2
            self.model.share.fill_(share)
            made.mixed = Mixed(inputs, labels if partners is None else partners, share)
        if whole and isinstance(self.loss, Keyed):
            made.inputs = self.loss.prepare(self.model, made.inputs, labels, self.plan.precision)
        return made

    def step(
        self, inputs: Tensor, labels: Tensor, epoch: int, partners: Tensor | None = None
    ) -> Objective:
        """Take one optimiser step; the objective then holds the logits and the sum of losses."""
        if self.translation is not None and self.stage.whole:
            first = self.translation(
                self.forward, inputs[: len(labels)], labels, epoch, self.augmentation
            )
            inputs = torch.cat([first, inputs[len(labels) :]])
        objective = self.objective(inputs, labels, epoch, partners)
        self.optimizer.zero_grad(set_to_none=True)
        with self.forward.step():
            objective.each = self.stage.rule(objective) / (objective.scale or 1.0)
            if self.acting is not None:
                self.acting.add(objective)
            self.optimizer.step()
            self._project()
        self.steps += 1
        if self.after_step is not None:
            self.after_step()
        return objective

    def set_training(self) -> None:
        """Set the model to the stage's training mode."""
        self.model.train(self.stage.statistics == "batch")

    def batches(self, order: Tensor, size: int) -> Iterator[Batch]:
        """Yield augmented batches of the stage.

        Args:
            order: (N,) indices of samples; of pairs, those of the first batches.
            size: of a batch.
        """
        first = self._train.batches(order, size, self.augmentation)
        if self.stage.paired is None:
            yield from ((*batch, None) for batch in first)
            return
        labels = self.data.train.labels
        other = epoch_order(self.stage.paired, labels, len(self.counts), self.order)
        second = self._train.batches(other[: len(order)], size, self.augmentation)
        for (inputs, classes), (others, partners) in zip(first, second, strict=True):
            yield torch.cat([inputs, others]), classes, partners

    def weights(self) -> dict[str, Any]:
        """Return the network's weights at this epoch with its architecture."""
        return {
            "model": self.model.state_dict(),
            "epoch": self.epoch,
            "architecture": self.architecture.to_dict(),
        }


def _groups_of(data: LongTailedData, plan: Plan) -> Tensor:
    """Return the group of each class (K,): head, mid and tail by the run's split."""
    groups = torch.zeros(len(data.class_counts), dtype=torch.int64)
    _, classes = split_classes(data.class_counts, plan.split)
    for place, name in enumerate(GROUPS):
        groups[list(classes[name])] = place
    return groups
