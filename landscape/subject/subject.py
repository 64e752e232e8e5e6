"""What is diagnosed: a model at one point, labelled data, a loss, and the samples spoken of.

A scope's loss is L(w) = Σ_i a_i ℓ_i(w) with Σ_i a_i = 1. The weights a_i are 1/n when every
sample of the scope is used; with a draw of m_c out of n_c samples of class c they are
n_c / (n m_c), so that a group is still weighted by its true class frequencies; class weights
multiply them and are normalised over the whole scope, never per batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from landscape.config import DiagnoseConfig
from landscape.errors import InputError
from landscape.global_state import controlled_state
from landscape.groups import SplitName, scope_classes
from landscape.subject.classifier import find_classifier
from landscape.subject.data import (
    LabelledData,
    class_names_of,
    hard_targets,
    labelled_data,
)
from landscape.subject.evaluation_copy import cast_like, evaluation_copy
from landscape.subject.loss import Loss, loss_of


@dataclass(frozen=True)
class Scope:
    """The set of classes a number speaks of."""

    name: str  # overall, head, mid, tail, class/3
    classes: tuple[int, ...]


@dataclass(frozen=True)
class Selection:
    """The samples of a scope and their weights in its mean loss."""

    indices: Tensor  # (n,) int64, class by class, on the CPU
    weights: Tensor  # (n,) float64, sum 1, on the CPU


@dataclass(frozen=True, init=False)
class Subject:
    """What is diagnosed.

    Args:
        model: the network at the parameters to judge; it is never changed.
        data: the labelled samples the loss is taken over, un-augmented: labelled data, a map-style
            torch dataset of ``(input, label)``, or a loader over one.
        loss: per-sample loss, or a function ``(outputs, targets) -> (B,)``; cross-entropy by
            default.
        class_names: K names; their number fixes K. Default: those of the dataset, or the labels.
        class_counts: training samples of each class (K,), for tables and groups. Default: counted.
        classifier: name of the module whose input is the penultimate features. Default: the last
            one called that maps features to K logits.

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

    @controlled_state()
    def __init__(
        self,
        model: nn.Module,
        data: LabelledData | Dataset[Any] | DataLoader[Any],
        loss: Loss | Callable[[Any, Tensor], Tensor] | None = None,
        class_names: Sequence[str] = (),
        class_counts: Sequence[int] = (),
        classifier: str | None = None,
    ) -> None:
        names = tuple(class_names) or class_names_of(data)
        labelled = labelled_data(data, model)
        classes = len(names) or int(labelled.labels.max()) + 1
        if int(labelled.labels.max()) >= classes:
            raise InputError(
                f"a label is {int(labelled.labels.max())}, and there are {classes} class names"
            )
        if class_counts and len(class_counts) != classes:
            raise InputError(f"{len(class_counts)} class counts for {classes} classes")
        counts = torch.bincount(labelled.labels.clamp(min=0), minlength=classes).tolist()
        values = {
            "model": model,
            "data": labelled,
            "loss": loss_of(loss),
            "class_names": names or tuple(str(c) for c in range(classes)),
            "class_counts": tuple(int(n) for n in class_counts or counts),
            "classifier": classifier,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def num_classes(self) -> int:
        """Number of classes K."""
        return len(self.class_names)

    def classifier_name(self) -> str:
        """Name the module whose input is the penultimate features.

        Raises:
            InputError: no linear layer gives the K logits, or the one named does not.
        """
        weight = next(self.model.parameters())
        judged = evaluation_copy(self.model, weight.dtype)
        inputs, _ = next(iter(self.data.batches(torch.zeros(1, dtype=torch.int64), 1)))
        with controlled_state(), torch.no_grad():
            return find_classifier(
                judged, cast_like(inputs, weight), self.num_classes, self.classifier
            )

    def scopes(
        self, names: Sequence[str] = ("classes",), split: SplitName | None = None
    ) -> tuple[Scope, ...]:
        """Resolve scope names; ``classes`` stands for every class, empty groups are left out.

        Raises:
            InputError: a name is not known.
        """
        found = scope_classes(names, self.class_counts, split)
        return tuple(Scope(name, classes) for name, classes in found.items())

    def mixed(self, selection: "Selection", seed: int = 0) -> "Selection":
        """Shuffle a selection once, so that BatchNorm's batches mix its classes."""
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(selection.indices), generator=generator)
        return Selection(selection.indices[order], selection.weights[order])

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
            weight = weight * (hard_targets(self.data)[chosen] != self.loss.ignore_index)
        if chosen.numel() == 0 or float(weight.sum()) <= 0:
            raise InputError(
                f"scope '{scope.name}' has no samples with weight in these data; "
                "leave it out with --scopes"
            )
        return Selection(chosen, weight / weight.sum())


def asked_scopes(
    subject: Subject, names: Sequence[str], split: SplitName | None = None
) -> tuple[Scope, ...]:
    """Resolve scope names, see :meth:`landscape.subject.subject.Subject.scopes`.

    The default list leaves out what has no samples, such as the head of a training on the tail
    alone. Scopes that a person names stay, and are refused where they are selected.

    Args:
        subject: what is diagnosed.
        names: of the scopes.
        split: that defines the groups.

    Raises:
        InputError: a name is not known.
    """
    found = subject.scopes(names, split)
    if tuple(names) != DiagnoseConfig.scopes:
        return found
    present = set(subject.data.labels.unique().tolist())
    return tuple(scope for scope in found if present.intersection(scope.classes))


def _draw(members: Tensor, most: int | None, seed: int, label: int) -> Tensor:
    if most is None or len(members) <= most:
        return members
    generator = torch.Generator().manual_seed(seed * 1_000_003 + label)
    order = torch.randperm(len(members), generator=generator)[:most]
    return members[order.sort().values]
