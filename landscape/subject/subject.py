"""Describe the subject of a diagnosis: a model at one point, labelled data, a loss, scopes.

A scope's loss is L(w) = Σ_i a_i ℓ_i(w) with Σ_i a_i = 1. The weights a_i are 1/n when every
sample of the scope is used; with a draw of m_c out of n_c samples of class c they are
n_c / (n m_c), so that a group is still weighted by its true class frequencies; class weights
multiply them and are normalised over the whole scope, never per batch.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from landscape.config import DiagnoseConfig
from landscape.errors import InputError, Setting
from landscape.global_state import controlled_state
from landscape.groups import SplitName, numbered_scopes, scope_classes
from landscape.results.provenance import RunOrigin
from landscape.subject.classifier import find_classifier
from landscape.subject.data import (
    LabelledData,
    hard_targets,
    labelled_data,
    read,
)
from landscape.subject.evaluation_copy import evaluation_copy
from landscape.subject.items import class_names_of
from landscape.subject.loss import Loss, loss_of
from landscape.subject.parameters import weight_of

DEFAULT_CHECKPOINT = "model"  # name of a checkpoint that is given none


@dataclass(frozen=True)
class Scope:
    """Set of classes that a number describes."""

    name: str  # overall, head, mid, tail, class/3
    classes: tuple[int, ...]


@dataclass(frozen=True)
class Selection:
    """Samples of a scope and their weights in its mean loss."""

    indices: Tensor  # (n,) int64, class by class, on the CPU
    weights: Tensor  # (n,) float64, sum 1, on the CPU

    @property
    def counted(self) -> int:
        """Number of samples that have a weight: not of those whose target is ignored."""
        return int((self.weights > 0).sum())


@dataclass(frozen=True, init=False)
class Subject:
    """Hold a model, labelled data and a loss for the analyses.

    >>> import torch
    >>> from landscape import TensorData
    >>> data = TensorData(torch.eye(3), torch.tensor([0, 0, 1]))
    >>> subject = Subject(torch.nn.Linear(3, 2), data)
    >>> subject.class_counts
    (2, 1)
    >>> subject.scopes("classes")
    (Scope(name='class/0', classes=(0,)), Scope(name='class/1', classes=(1,)))
    >>> subject.select(*subject.scopes("overall")).weights  # of a mean: 1/n each
    tensor([0.3333, 0.3333, 0.3333], dtype=torch.float64)

    Args:
        model: the network at the parameters to judge; it is never changed.
        data: the labelled samples the loss is taken over, un-augmented: labelled data, a map-style
            torch dataset of ``(input, label)``, or a loader over one.
        loss: per-sample loss, or a function ``(outputs, targets) -> (B,)``; cross-entropy by
            default.
        class_names: K names, all different; their number fixes K. Default: those of the dataset,
            or the labels.
        class_counts: training samples of each class (K,), for tables and groups. Default: counted.
        classifier: name of the module whose input is the penultimate features. Default: the last
            one called that gives the K logits.
        name: of the model in tables, figures and files. Default: that of its class.
        data_name: of the data, likewise.
        checkpoint: of the point, likewise.
        origin: of a run's checkpoint, in place of the names.

    Raises:
        InputError: there is no sample, a label is not among the classes, or data or loss are of
            another kind.
    """

    model: nn.Module
    data: LabelledData
    loss: Loss
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    classifier: str | None
    name: str | None
    data_name: str | None
    checkpoint: str
    origin: RunOrigin | None

    @controlled_state()
    def __init__(
        self,
        model: nn.Module,
        data: LabelledData | Dataset[Any] | DataLoader[Any],
        loss: Loss | Callable[[Any, Tensor], Tensor] | None = None,
        class_names: Sequence[str] = (),
        class_counts: Sequence[int] = (),
        classifier: str | None = None,
        *,
        name: str | None = None,
        data_name: str | None = None,
        checkpoint: str = DEFAULT_CHECKPOINT,
        origin: RunOrigin | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise InputError(
                f"the model is a {type(model).__name__}; give a torch.nn.Module, whose parameters "
                "are the weights to judge"
            )
        weight_of(model)
        names = tuple(class_names) or class_names_of(data)
        labelled = labelled_data(data, model)
        largest = int(labelled.labels.max())
        if largest < 0:
            raise InputError("no sample has a class: every label is below 0")
        classes = len(names) or largest + 1
        if largest >= classes:
            raise InputError(f"a label is {largest}, and there are {classes} class names")
        if class_counts and len(class_counts) != classes:
            raise InputError(f"{len(class_counts)} class counts for {classes} classes")
        if class_counts and (min(class_counts) < 0 or not any(class_counts)):
            raise InputError(
                f"the class counts are {list(class_counts)[:8]}; give the number of training "
                "samples of each class, 0 or more, and not 0 of all"
            )
        own = loss_of(loss)
        own = replace(own, num_classes=classes) if own.takes_logits else own
        _check_class_weights(own.class_weights, classes)
        _check_names(names)
        labels = labelled.labels
        counts = torch.bincount(labels[labels >= 0], minlength=classes).tolist()
        values = {
            "model": model,
            "data": labelled,
            "loss": own,
            "class_names": names or tuple(str(c) for c in range(classes)),
            "class_counts": tuple(int(n) for n in class_counts or counts),
            "classifier": classifier,
            "name": name,
            "data_name": data_name,
            "checkpoint": checkpoint,
            "origin": origin,
        }
        for field, value in values.items():
            object.__setattr__(self, field, value)

    @property
    def num_classes(self) -> int:
        """Number of classes K."""
        return len(self.class_names)

    def classifier_name(self) -> str:
        """Name the module whose input is the penultimate features.

        Raises:
            InputError: no linear layer gives the K logits, or the one named does not.
        """
        dtype = torch.promote_types(weight_of(self.model).dtype, torch.float32)
        judged = evaluation_copy(self.model, dtype)
        first = next(read(self.data, torch.zeros(1, dtype=torch.int64), 1, weight_of(judged)))
        with controlled_state(), torch.no_grad():
            return find_classifier(judged, first[0], self.num_classes, self.classifier)

    def on(self, data: LabelledData | Dataset[Any] | DataLoader[Any] | None) -> "Subject":
        """Take other data in place of its own, unless they are ``None``.

        Raises:
            InputError: they cannot be read by index, or a label is not among the classes.
        """
        return self if data is None else replace(self, data=labelled_data(data, self.model))

    def scopes(
        self,
        names: str | Sequence[str] = DiagnoseConfig.scopes,
        split: SplitName | None = None,
    ) -> tuple[Scope, ...]:
        """Resolve scope names; ``classes`` stands for each that has samples; empty groups go.

        The default names leave out scopes without samples, such as the head of a training on the
        tail alone. Scopes that a person names stay, and are refused where they are selected.

        Args:
            names: one or several of ``overall``, ``head``, ``mid``, ``tail``, ``classes``,
                ``class/3``, ``class/cat``; a number is always the index of a class, though others
                be called so.
            split: rule that defines the groups.

        Raises:
            InputError: a name is not known.
        """
        names = numbered_scopes((names,) if isinstance(names, str) else names, self.class_names)
        resolved = scope_classes(names, self.class_counts, split)
        found = tuple(Scope(name, classes) for name, classes in resolved.items())
        asked = () if names == DiagnoseConfig.scopes else names
        present = set(self.data.labels.unique().tolist())
        return tuple(s for s in found if s.name in asked or present.intersection(s.classes))

    def mixed(self, selection: "Selection", seed: int = 0) -> "Selection":
        """Shuffle a selection once, so that BatchNorm's batches mix its classes."""
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(selection.indices), generator=generator)
        return Selection(selection.indices[order], selection.weights[order])

    def select_all(self, samples_per_class: int | None = None, seed: int = 0) -> "Selection":
        """Choose samples of every class that has any, see :meth:`select`."""
        labels = self.data.labels
        present = tuple(labels[labels >= 0].unique().tolist())
        return self.select(Scope("overall", present), samples_per_class, seed)

    def counts(self) -> Tensor:
        """Tell of each sample (N,) whether it counts in a mean: its target is not ignored."""
        ignored = self.loss.ignore_index
        if ignored is None:
            return torch.ones_like(self.data.labels, dtype=torch.bool)
        return hard_targets(self.data) != ignored

    @controlled_state()
    def select(
        self, scope: Scope, samples_per_class: int | None = None, seed: int = 0
    ) -> Selection:
        """Choose the samples of a scope and their weights.

        Args:
            scope: the classes.
            samples_per_class: at most so many of each class, drawn without replacement from a
                generator seeded by ``seed`` and the class; the same draw for every scope.
            seed: seed of the draw.

        Raises:
            InputError: a single-class scope has no samples, or no class of the scope has any.
        """
        indices, weights = [], []
        for c in scope.classes:
            members = (self.data.labels == c).nonzero().flatten()
            kept = _draw(members, samples_per_class, seed, c)
            indices.append(kept)
            share = len(members) / max(len(kept), 1)
            weights.append(torch.full((len(kept),), share, dtype=torch.float64))
        chosen, weight = torch.cat(indices), torch.cat(weights)
        if self.loss.class_weights is not None:
            weight = weight * self.loss.class_weights.cpu().double()[self.data.labels[chosen]]
        if self.loss.ignore_index is not None:
            weight = weight * self.counts()[chosen]
        if chosen.numel() == 0 or float(weight.sum()) <= 0:
            raise InputError(
                f"scope '{scope.name}' has no samples with weight in these data; "
                "leave it out with ",
                Setting("scopes"),
            )
        return Selection(chosen, weight / weight.sum())


def _check_names(names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        places = " and ".join(str(c) for c, name in enumerate(names) if name == twice[0])
        raise InputError(
            f"the classes {places} are all called '{twice[0]}'; give each a name of its own as "
            "'class_names'"
        )


def _check_class_weights(weights: Tensor | None, classes: int) -> None:
    if weights is None:
        return
    if (
        weights.dim() != 1
        or len(weights) < classes
        or not (weights.isfinite() & (weights >= 0)).all()
    ):
        raise InputError(
            f"the loss's class weights are {weights.tolist()}; expected a number of at least 0 "
            f"for each of {classes} classes"
        )


def _draw(members: Tensor, most: int | None, seed: int, label: int) -> Tensor:
    if most is None or len(members) <= most:
        return members
    generator = torch.Generator().manual_seed(seed * 1_000_003 + label)
    order = torch.randperm(len(members), generator=generator)[:most]
    return members[order.sort().values]
