"""Compare the representations of classes, with shuffled baselines; NaN for absent classes.

Rows have to be matched. Within a checkpoint, head and tail are matched by class-balanced draws of n
samples a side, repeated; against another checkpoint, by the images themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from landscape.analyses.analysis import Precision, analysis, precision
from landscape.analyses.features import penultimate
from landscape.analyses.similarity_measures import (
    MEASURES,
    Sides,
    check_enough_samples,
    compare,
)
from landscape.config import DiagnoseConfig, SimilarityConfig
from landscape.errors import InputError, unknown
from landscape.groups import SplitName, split_classes
from landscape.results.similarity import Similarity
from landscape.subject.data import LabelledData
from landscape.subject.evaluation_copy import unwrapped
from landscape.subject.members import members_of_classes
from landscape.subject.parameters import check_weights
from landscape.subject.subject import Subject

Array = NDArray[np.float64]


def class_similarity(
    features: Tensor,
    labels: Tensor,
    class_names: tuple[str, ...],
    class_counts: tuple[int, ...],
    *,
    measures: Sequence[str] = ("cca", "svcca", "pwcca", "cka"),
    components: int | None = None,
    draws: int = 5,
    seed: int = 0,
    split: SplitName | None = None,
) -> Similarity:
    """Compare classes with each other, and head with tail.

    Args:
        features: (N, D).
        labels: (N,).
        class_names: K.
        class_counts: K training samples, which define head and tail.
        measures: of :data:`landscape.analyses.similarity_measures.MEASURES`.
        components: principal components kept of the features before comparing; default: all.
        draws: repetitions.
        seed: of the draws.
        split: that defines head and tail.

    Raises:
        InputError: too few samples for canonical correlations.
    """
    features = _principal(features.double(), components)
    classes = members_of_classes(labels, len(class_names))
    groups = {
        name: tuple(c for c in members if len(classes[c]))
        for name, members in split_classes(class_counts, split)[1].items()
    }
    generator = torch.Generator().manual_seed(seed)
    rows = _fewest(classes)
    check_enough_samples(rows, features.shape[1])
    found, present = _nothing(measures, classes), np.array(_present(classes), dtype=np.int64)
    found[:, :, present[:, None], present] = 0.0
    ends = np.full((2, draws, len(measures)), np.nan)  # scores and baselines
    for draw in range(draws):
        _add_draw(found, features, classes, rows, measures, generator)
        if groups["head"] and groups["tail"]:
            head, tail = (_balanced(classes, groups[g], rows, generator) for g in ("head", "tail"))
            ends[:, draw] = _between(features[head], features[tail], measures, generator)
    found /= draws
    return _record(
        (measures, class_names, class_counts, rows, features.shape[1], draws),
        score=found[0],
        shuffled_baseline=found[1],
        head_tail=ends[0].mean(axis=0),
        head_tail_sem=_standard_error(ends[0]),
        head_tail_baseline=ends[1].mean(axis=0),
        paired=np.array("class-balanced draws"),
    )


def paired_similarity(
    features: Tensor,
    others: Tensor,
    labels: Tensor,
    class_names: tuple[str, ...],
    class_counts: tuple[int, ...],
    name: str,
    *,
    measures: Sequence[str] = ("cca", "svcca", "pwcca", "cka"),
    components: int | None = None,
    seed: int = 0,
) -> Similarity:
    """Compare each class's representation with that of the same images at another checkpoint.

    Args:
        features: (N, D) of one checkpoint.
        others: (N, D') of the other, row by row the same images.
        labels: (N,).
        class_names: K.
        class_counts: K training samples.
        name: of the other checkpoint.
        measures: of :data:`landscape.analyses.similarity_measures.MEASURES`.
        components: principal components kept of each.
        seed: of the shuffled baseline.

    Raises:
        InputError: too few samples for canonical correlations.
    """
    x, y = _principal(features.double(), components), _principal(others.double(), components)
    generator = torch.Generator().manual_seed(seed)
    members = members_of_classes(labels, len(class_names))
    rows = _fewest(members)
    check_enough_samples(rows, x.shape[1])
    found = _nothing(measures, members)
    for c in _present(members):
        found[:, :, c, c] = _between(x[members[c]], y[members[c]], measures, generator)
    nothing = np.full(len(measures), np.nan)
    return _record(
        (measures, class_names, class_counts, rows, x.shape[1], 1),
        score=found[0],
        shuffled_baseline=found[1],
        head_tail=nothing,
        head_tail_sem=nothing,
        head_tail_baseline=nothing,
        paired=np.array(f"checkpoint {name}"),
    )


def _named(settings: SimilarityConfig, arguments: Mapping[str, Any]) -> SimilarityConfig:
    """Store the name of the other model."""
    other = only_one(arguments["against"])
    return replace(settings, against=other[0] if other else None)


@analysis("similarity", _named)
def similarity(
    subject: Subject,
    settings: SimilarityConfig = DiagnoseConfig.similarity,
    *,
    data: LabelledData | Dataset[Any] | DataLoader[Any] | None = None,
    against: nn.Module | Mapping[str, nn.Module] | None = None,
    split: SplitName | None = None,
    dtype: Precision = None,
    batch_size: int = 256,
    seed: int = 0,
) -> Similarity:
    """Compare the representations of the classes, with shuffled baselines.

    A model is like itself:

    >>> import torch
    >>> from landscape import Subject, TensorData
    >>> data = TensorData(torch.arange(12.0)[:, None], torch.arange(12) % 2)
    >>> subject = Subject(torch.nn.Linear(1, 2), data)
    >>> found = similarity(subject, SimilarityConfig(("cka",)), against=subject.model)
    >>> found.score[0].diagonal().round(6)
    array([1., 1.])

    Args:
        subject: the model, its class names and training counts.
        settings: measures, components, draws; ``settings.data`` is for the command line.
        data: labelled data or a torch dataset, such as a test set. Default: the subject's.
        against: another model, or its name and itself in a mapping; each class is then compared
            with itself there, sample by sample.
        split: rule that defines head and tail.
        dtype: precision of the models. Default: the subject's own, single precision at least.
        batch_size: samples a forward pass.
        seed: of the draws.

    Raises:
        InputError: an unknown measure, a value out of range, or too few samples.
    """
    for measure in settings.measures:
        if measure not in MEASURES:
            raise unknown("measure", measure, MEASURES)
    subject, own = subject.on(data), precision(dtype, subject)
    found, other = penultimate(subject, own, batch_size), only_one(against)
    classes = found.labels, subject.class_names, subject.class_counts
    options: dict[str, Any] = {"measures": settings.measures, "components": settings.components}
    options["seed"] = seed
    if other is None:
        return class_similarity(
            found.features, *classes, draws=settings.draws, split=split, **options
        )
    name, model = other
    if isinstance(model, nn.Module):
        check_weights(unwrapped(model), f" of '{name}'")
    there = penultimate(replace(subject, model=model), own, batch_size).features
    return paired_similarity(found.features, there, *classes, name, **options)


def only_one(
    against: nn.Module | Mapping[str, nn.Module] | None,
) -> tuple[str, nn.Module] | None:
    """Name the one model compared with, if there is one.

    Raises:
        InputError: there are several.
    """
    if against is None:
        return None
    named = dict(against) if isinstance(against, Mapping) else {"other": against}
    if len(named) != 1:
        raise InputError(f"against holds {len(named)} models; give one")
    return next(iter(named.items()))


def _record(facts: tuple[Any, ...], **found: Array) -> Similarity:
    """Build the record of facts (measures, names, counts, rows, dimensions, draws) and scores."""
    names = ("measure", "class_name", "training_count", "rows", "dimension", "draws")
    return Similarity(**{n: np.array(f) for n, f in zip(names, facts, strict=True)}, **found)


def _nothing(measures: Sequence[str], classes: Sequence[Tensor]) -> Array:
    """Scores and baselines (2, M, K, K) to be filled, NaN for absent classes."""
    return np.full((2, len(measures), len(classes), len(classes)), np.nan)


def _add_draw(
    found: Array,
    features: Tensor,
    classes: Sequence[Tensor],
    rows: int,
    measures: Sequence[str],
    generator: torch.Generator,
) -> None:
    """Add to scores and baselines (2, M, K, K) those of one draw, and of its rows shuffled."""
    present = _present(classes)
    drawn = torch.stack([_pick(classes[c], rows, generator) for c in present])
    sides, own = Sides.of(features[drawn], measures), torch.arange(rows)
    for i, c in enumerate(present):
        orders = torch.empty(2, len(present), rows, dtype=torch.int64)
        for j in range(len(present)):
            orders[0, j] = own if i == j else torch.randperm(rows, generator=generator)
            orders[1, j] = torch.randperm(rows, generator=generator)
        for part, order in zip(found, orders, strict=True):
            scores = compare(measures, sides[i : i + 1], sides, order).numpy()
            part[:, c, present] += scores


def _between(x: Tensor, y: Tensor, measures: Sequence[str], generator: torch.Generator) -> Array:
    """Compare two matched sets of rows, and the same with the second one shuffled: (2, M)."""
    one, other = (Sides.of(side[None], measures) for side in (x, y))
    orders = torch.arange(len(y)), torch.randperm(len(y), generator=generator)
    found = [compare(measures, one, other, order[None])[:, 0].numpy() for order in orders]
    return np.stack(found)


def _standard_error(values: Array) -> Array:
    """Compute that of the mean over the first axis; NaN of a single value."""
    if len(values) == 1:
        return values[0] * np.nan
    found: Array = values.std(axis=0, ddof=1) / len(values) ** 0.5
    return found


def _present(classes: Sequence[Tensor]) -> list[int]:
    return [c for c, members in enumerate(classes) if len(members)]


def _fewest(classes: Sequence[Tensor]) -> int:
    """Count the samples of the smallest class that has any."""
    return min((len(classes[c]) for c in _present(classes)), default=0)


def _pick(members: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return members[torch.randperm(len(members), generator=generator)[:count]]


def _shuffled(members: Tensor, generator: torch.Generator) -> Tensor:
    return members[torch.randperm(len(members), generator=generator)]


def _balanced(
    classes: Sequence[Tensor], group: tuple[int, ...], rows: int, generator: torch.Generator
) -> Tensor:
    """Draw as many samples of each class of a group as the group's share of ``rows`` allows."""
    each = [rows // len(group) + (k < rows % len(group)) for k in range(len(group))]
    parts = [_pick(classes[c], n, generator) for c, n in zip(group, each, strict=True)]
    return _shuffled(torch.cat(parts), generator)


def _principal(features: Tensor, components: int | None) -> Tensor:
    if components is None or components >= features.shape[1]:
        return features
    centred = features - features.mean(dim=0)
    triangle = torch.linalg.qr(centred, mode="r").R  # of the same right singular vectors
    _, _, directions = torch.linalg.svd(triangle, full_matrices=False)
    return centred @ directions[:components].T
