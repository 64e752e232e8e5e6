"""Evaluate loss and accuracy of every class at any parameters, in one pass over the data.

Parameters are always set from a fixed centre, never moved step by step: a point's value does
not depend on the points before it. At the centre itself the parameters are those of the model, bit
for bit.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from landscape.curvature.checks import (
    check_follows_parameters,
    check_gradient_path,
    check_leaves,
    differentiated,
)
from landscape.curvature.independence import check_read_alone
from landscape.distributed import own_part, summed_together
from landscape.errors import InputError
from landscape.global_state import controlled_state
from landscape.subject.batch import Batch, check_finite
from landscape.subject.classifier import logits_of
from landscape.subject.evaluation_copy import evaluation_copy, unwrapped
from landscape.subject.loss import Loss
from landscape.subject.out_of_memory import with_less_memory
from landscape.subject.parameters import chosen_parameters
from landscape.subject.subject import Selection, Subject
from landscape.weight_space.batch_statistics import recompute_statistics
from landscape.weight_space.counted import counted
from landscape.weight_space.held_samples import HeldSamples
from landscape.weight_space.objective import TrainedObjective

Judged = tuple[Tensor, Tensor, Tensor]  # losses, hits and losses of the objective, (B,) each
Statistics = Literal["fixed", "recomputed"]


@dataclass(frozen=True)
class ClassLosses:
    """Losses and counts of one pass over the data; K classes."""

    loss: Tensor  # (K,) float64, mean over the class's samples; NaN without samples
    correct: Tensor  # (K,) int64; zero where outputs are no logits
    objective: Tensor  # (K,) float64, mean of the trained one; NaN without
    samples: Tensor  # (K,) int64 that count


class Evaluator:
    """Evaluate a copy of a subject's model at moved parameters.

    Args:
        subject: model, data and loss; left untouched.
        selection: samples judged, of which those count whose target is not ignored.
        statistics: BatchNorm's running statistics as stored, or recomputed at each point from the
            samples judged.
        dtype: precision of the copy.
        batch_size: samples a forward pass.
        moments: samples that statistics are recomputed from, where they are not those judged.
        objective: a second loss, see :class:`TrainedObjective`.

    Attributes:
        names: of the trainable parameters.
        centre: their values, one tensor a parameter.
        parameters: of the copy, likewise.
    """

    @controlled_state()
    def __init__(
        self,
        subject: Subject,
        selection: Selection,
        *,
        statistics: Statistics = "fixed",
        dtype: torch.dtype = torch.float32,
        batch_size: int = 256,
        moments: Selection | None = None,
        objective: Loss | None = None,
    ) -> None:
        self._objective, self._subject = TrainedObjective(subject, objective), subject
        self.model = evaluation_copy(subject.model, dtype, fold_batchnorm=False)
        trainable = chosen_parameters(self.model, ("*",))
        self.names, self.parameters = tuple(trainable), list(trainable.values())
        self.centre = [p.detach().clone() for p in self.parameters]
        self._statistics, self._dtype = statistics, dtype
        like = self.parameters[0]
        judged = counted(subject, selection)
        if moments is None and len(judged.indices) < len(selection.indices):
            moments = selection  # BatchNorm normalises the others, too
        self._samples = HeldSamples(subject.data, judged, like, batch_size)
        self._moments = self._samples
        if moments is not None:
            self._moments = HeldSamples(subject.data, moments, like, batch_size, shared=False)
        self._passed = set[str]()  # checks, shared by the evaluators of parts

    def on(self, members: Tensor) -> "Evaluator":
        """Judge some of the samples alone; the copy of the model is shared.

        Args:
            members: (n,) whether a sample, in their order, is one.
        """
        return self._of(self._samples.on(members))

    def by_class(self) -> Iterator[tuple[int, "Evaluator"]]:
        """Judge each class alone, see :meth:`HeldSamples.by_class`."""
        for c, own in self._samples.by_class():
            yield c, self._of(own)

    def _of(self, samples: HeldSamples) -> "Evaluator":
        part = copy.copy(self)
        part._moments = samples if self._moments is self._samples else self._moments
        part._samples = samples
        return part

    @property
    def objective_name(self) -> str:
        """Name of the second loss; empty without one."""
        return self._objective.name

    @property
    def is_of_outputs(self) -> bool:
        """Whether losses are functions of the outputs of a model in eval mode."""
        return self._statistics == "fixed" and self._objective.shares_outputs

    @property
    def labels(self) -> Tensor:
        """Class of each sample judged, in their order (n,)."""
        return self._samples.labels

    @property
    def weights(self) -> Tensor:
        """Weight of each sample judged, in their order (n,)."""
        return self._samples.selection.weights

    @property
    def samples(self) -> Tensor:
        """Samples judged of each class (K,)."""
        return torch.bincount(self.labels, minlength=self._subject.num_classes)

    def at(self, directions: Sequence[Sequence[Tensor]], steps: Sequence[float]) -> ClassLosses:
        """Evaluate at w + Σ steps_i directions_i.

        Args:
            directions: each one tensor a parameter.
            steps: one a direction.
        """
        self.move(directions, steps)
        return self.judge(centre=not any(steps))

    @controlled_state()
    def move(self, directions: Sequence[Sequence[Tensor]], steps: Sequence[float]) -> None:
        """Put the copy at w + Σ steps_i directions_i, as for :meth:`at`."""
        with torch.no_grad():
            for i, (parameter, start) in enumerate(zip(self.parameters, self.centre, strict=True)):
                parameter.copy_(start)
                for direction, step in zip(directions, steps, strict=True):
                    if direction[i].shape != start.shape:
                        raise InputError(
                            f"a direction is {tuple(direction[i].shape)} for parameter "
                            f"'{self.names[i]}' of {tuple(start.shape)}; give one tensor a "
                            "trainable parameter, in their order"
                        )
                    if step != 0:
                        parameter.add_(direction[i], alpha=step)

    @controlled_state()
    def judge(self, *, centre: bool = False) -> ClassLosses:
        """Evaluate the copy where it stands.

        Args:
            centre: it stands at the centre, where every loss has to be a number.

        Raises:
            InputError: a loss at the centre is none.
        """
        return self.tallied(self._parts(centre))

    def tallied(self, parts: Sequence[Judged]) -> ClassLosses:
        """Sum what was judged, of all samples of this process, by class."""
        each, hits, trained = (one.cpu() for one in _joined(parts))  # where index_add repeats
        labels, classes = own_part(self.labels), self._subject.num_classes
        loss, objective = (
            each.new_zeros(classes).index_add_(0, labels, one) for one in (each, trained)
        )
        correct = hits.new_zeros(classes).index_add_(0, labels, hits)
        loss, correct, objective = summed_together(loss, correct, objective)
        means = objective / self.samples * self._objective.factors
        return ClassLosses(loss / self.samples, correct, means, self.samples)

    @controlled_state()
    def per_sample(self, *, centre: bool = False) -> tuple[Tensor, Tensor]:
        """Evaluate every sample of this process where the copy stands, in one pass.

        Args:
            centre: as for :meth:`judge`.

        Returns:
            Losses (n,) float64 and whether each is classified as labelled (n,) int64; zero where
            outputs are no logits.

        Raises:
            InputError: a loss at the centre is no number.
        """
        losses, hits, _ = _joined(self._parts(centre))
        return losses, hits

    def _parts(self, centre: bool) -> list[Judged]:
        return with_less_memory(lambda: self._per_sample(centre), self._take_less)

    def _take_less(self) -> bool:
        """Take half as many samples at a time; false where statistics are those of batches."""
        if self._statistics == "recomputed":
            return False
        return self._samples.take_less()

    def _per_sample(self, centre: bool) -> list[Judged]:
        self._check_once()
        if self._statistics == "recomputed":
            recompute_statistics(self.model, self._moments)
        none = torch.zeros(0, dtype=torch.float64, device=self.parameters[0].device)
        parts, seen = [(none, none.long(), none)], 0  # a process may hold no sample
        for batch in self.batches():
            parts.append(self.judged(batch, seen))
            if centre:
                check_finite(parts[-1][0], batch, "the loss")
            self._check_alone(parts[-1][0], batch)
            seen += batch.size
        return parts

    def judged(self, batch: Batch, seen: int, outputs: Any = None) -> Judged:
        """Judge a batch where the copy stands.

        Args:
            batch: of :meth:`batches`.
            seen: samples of the batches before.
            outputs: of the model, in place of those where the copy stands.

        Returns:
            Losses, whether each sample is classified as labelled, and losses of the objective.
        """
        loss = self._subject.loss
        if outputs is None:
            each, outputs = loss.values(self.model, batch)
        else:
            outputs = logits_of(outputs, loss.num_classes) if loss.takes_logits else outputs
            each = loss.of_outputs(outputs, batch[1], batch)
        members = own_part(self.labels)[seen : seen + batch.size].to(each.device)
        trained = self._objective.per_sample(self.model, batch, outputs, each)
        hits = _hits(outputs, members, self._subject.num_classes)
        return each.double(), hits, trained.double()

    @controlled_state()
    def gradient(self, weights: Tensor) -> list[Tensor]:
        """Compute the gradient of Σ weights_i ℓ_i where the copy stands, one tensor a parameter.

        Args:
            weights: (n,) of the samples judged, in their order.
        """
        total = with_less_memory(lambda: self._own_gradient(weights), self._take_less)
        total = summed_together(*total)
        return [sum_.to(p) for sum_, p in zip(total, self.parameters, strict=True)]

    def _own_gradient(self, weights: Tensor) -> list[Tensor]:
        """Sum gradients over this process's samples, in float64."""
        self._check_path()
        total = [torch.zeros_like(p, dtype=torch.float64) for p in self.parameters]
        seen, own = 0, own_part(weights)
        for batch in self.batches():
            part = own[seen : seen + batch.size].to(self.parameters[0].device)
            seen += batch.size
            if not part.any():
                continue
            each = self._subject.loss.per_sample(self.model, batch)
            value = each @ part.to(each.dtype)
            with differentiated("once"):
                found = torch.autograd.grad(value, self.parameters, materialize_grads=True)
            for sum_, gradient in zip(total, found, strict=True):
                sum_ += gradient.detach()
        return total

    def batches(self) -> Iterator[Batch]:
        """Read the samples of this process; they are kept in memory when they fit."""
        return iter(self._samples)

    def few(self) -> Batch:
        """Read a few samples, the same in all processes."""
        return self._samples.few()

    def _check_once(self) -> None:
        """See that the copy follows its parameters, before its first pass over the data."""
        if "follows" in self._passed:
            return
        self._passed.add("follows")
        few = self.few()
        own = self._subject.model
        fresh = evaluation_copy(own, self._dtype, fold_batchnorm=False)
        check_leaves(self._subject.loss.per_sample(self.model, few).sum(), unwrapped(own))
        check_follows_parameters(self.model, fresh, self._subject.loss, few)

    def _check_alone(self, each: Tensor, batch: Batch) -> None:
        """See that samples of the first batch have the same losses alone."""
        if "alone" not in self._passed:
            self._passed.add("alone")
            check_read_alone(each, batch, self._subject.data, self.model, self._losses)

    def _losses(self, batch: Batch) -> Tensor:
        return self._subject.loss.values(self.model, batch)[0]

    def _check_path(self) -> None:
        """See that the loss has a gradient, before the first one."""
        if "gradient" in self._passed:
            return
        few, own = self.few(), unwrapped(self._subject.model)
        named = dict(zip(self.names, self.parameters, strict=True))
        check_gradient_path(self.model, self._subject.loss, few, own, named)
        self._passed.add("gradient")


def _joined(parts: Sequence[Judged]) -> Judged:
    each, hits, trained = (torch.cat(list(one)) for one in zip(*parts, strict=True))
    return each, hits, trained


def _hits(outputs: Any, labels: Tensor, classes: int) -> Tensor:
    """Tell which samples are classified as labelled; none where outputs are no logits."""
    try:
        logits = logits_of(outputs, classes)
    except InputError:
        return torch.zeros_like(labels)
    if logits.dim() != 2 or logits.shape[1] < max(2, classes):
        return torch.zeros_like(labels)
    return (logits.argmax(dim=1) == labels).long()
