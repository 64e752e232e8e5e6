"""Compute loss and accuracy of every class between two checkpoints, and each class's barrier.

On the straight line, on that to the other end with its units permuted to match, and on a curve that
is trained for low loss. All classes share the forward passes. BatchNorm's statistics are recomputed
at each point, since those of the ends are none of the points between: from the samples judged or,
where these are many or only some of each class, from a draw in which classes are as frequent as in
the data. So are the singular vectors of spectral norms, from the weights alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from landscape.analyses.analysis import Precision, Progress, analysis, precision
from landscape.analyses.surface import Weights, model_at
from landscape.config import DiagnoseConfig, PathConfig
from landscape.errors import InputError, Setting
from landscape.groups import SplitName, split_classes
from landscape.results.path import Path
from landscape.results.shares import shares_within
from landscape.subject.data import LabelledData, read
from landscape.subject.evaluation_copy import evaluation_copy
from landscape.subject.parameters import weight_of
from landscape.subject.subject import Scope, Selection, Subject
from landscape.weight_space.bezier import place, train_bend
from landscape.weight_space.counted import mixture
from landscape.weight_space.directions import Direction
from landscape.weight_space.evaluator import Evaluator
from landscape.weight_space.left_behind import check_left_behind
from landscape.weight_space.matching import Aligned, align

Array = NDArray[np.float64]
_MATCHED = 1024  # samples whose activations are matched


def _named_end(settings: PathConfig, arguments: Mapping[str, Any]) -> PathConfig:
    """Store the name of the other end."""
    return replace(settings, to=_one(arguments["to"])[0])


@analysis("path", _named_end)
def path(
    subject: Subject,
    settings: PathConfig = DiagnoseConfig.path,
    *,
    to: Weights | Mapping[str, Weights] | None = None,
    data: LabelledData | None = None,
    split: SplitName | None = None,
    samples_per_class: int | None = None,
    dtype: Precision = None,
    batch_size: int = 256,
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Compute the loss of every class between a model and another one, and the barriers.

    The loss 1 - w² from w = -1 to w = 1 has a barrier of 1:

    >>> import torch
    >>> from landscape import PathConfig, Subject, TensorData
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> model.weight.data.fill_(-1.0)
    tensor([[-1.]])
    >>> data = TensorData(torch.ones(2, 1), torch.tensor([0, 0]))
    >>> subject = Subject(model, data, lambda outputs, _: 1 - outputs[:, 0] ** 2)
    >>> found = path(subject, PathConfig(points=5, align="none"), to={"weight": torch.ones(1, 1)})
    >>> float(found.barrier[0, 0]), float(found.barrier_at[0, 0])
    (1.0, 0.5)

    Args:
        subject: model, data and loss; the model is at t = 0.
        settings: points, alignment, and the curve's training.
        to: a network of the same architecture, its state dict or a file of one, at t = 1; or its
            name and itself in a mapping.
        data: samples judged in place of the subject's own.
        split: rule that defines head, mid and tail.
        samples_per_class: at most so many samples of a class.
        dtype: precision of the model. Default: its own, single precision at least.
        batch_size: samples a forward pass, and of a batch in BatchNorm's statistics.
        seed: of the draw of samples, of matching and of the curve's training.
        progress: called with the numbers of points done and wanted after each.

    Raises:
        InputError: there is no other end, it does not fit the model or differs in what is not
            trained, or a loss at the model is no number.
    """
    judged, own = subject.on(data), precision(dtype, subject)
    name, other = _one(to)
    selection = judged.mixed(judged.select_all(samples_per_class, seed), seed)
    there = model_at(subject, other, name)
    ends, aligned = _ends(judged, there, name, settings, selection, seed)
    evaluator = Evaluator(
        judged,
        selection,
        statistics="recomputed",
        dtype=own,
        batch_size=batch_size,
        moments=drawn_for_statistics(judged, selection, settings.statistics, seed),
    )
    ways: dict[str, tuple[Direction, Direction | None]] = {}
    for kind, end in ends.items():
        moved = [(e.to(c) - c) for e, c in zip(end, evaluator.centre, strict=True)]
        ways[kind] = moved, None
    if settings.curve:
        last = ways[next(reversed(ways))][0]
        options: dict[str, Any] = {"dtype": own, "batch_size": batch_size, "seed": seed}
        bend = train_bend(
            judged, selection, last, steps=settings.curve, rate=settings.rate, **options
        )
        ways["curve"] = last, bend
    t = np.linspace(0, 1, settings.points)
    losses, hits = _evaluated(evaluator, ways, t, progress)
    scopes = _scopes(judged, evaluator, split)
    labels, mixed = evaluator.labels.numpy(), mixture(judged, selection)
    return Path(
        path=np.array(list(ways)),
        t=t,
        loss=np.stack([_means(one, labels, judged.num_classes) for one in losses]),
        correct=np.stack([_sums(one, labels, judged.num_classes) for one in hits]).astype(np.int64),
        class_name=np.array(judged.class_names),
        training_count=np.array(judged.class_counts),
        samples=evaluator.samples.numpy(),
        scope=np.array([scope.name for scope in scopes]),
        **mixed,
        **_barriers(losses, hits, t, scopes, labels, mixed),
        distance=np.array([_length(end) for end, _ in ways.values()]),
        to=np.array(name),
        align=np.array(settings.align),
        moved=np.array(aligned.moved),
        units=np.array(aligned.units),
        split=np.array(split_classes(judged.class_counts, split)[0]),
    )


def _one(to: Weights | Mapping[str, Weights] | None) -> tuple[str, Weights]:
    """Name the one other end.

    Raises:
        InputError: there is none, or there are several.
    """
    named: dict[str, Any] = {} if to is None else {"other": to}
    if isinstance(to, Mapping) and not any(isinstance(v, torch.Tensor) for v in to.values()):
        named = dict(to)
    if len(named) != 1:
        raise InputError(
            f"a path leads to one other checkpoint, and {len(named)} are given; give one as to"
        )
    name, other = next(iter(named.items()))
    return name, other


def _ends(
    subject: Subject,
    other: nn.Module,
    name: str,
    settings: PathConfig,
    selection: Selection,
    seed: int,
) -> tuple[dict[str, Direction], Aligned]:
    """Weights at t = 1: those of the other end, and those with its units permuted."""
    model, plain = (
        evaluation_copy(end, torch.float64, fold_batchnorm=False) for end in (subject.model, other)
    )
    check_left_behind(model, plain, name)
    ends = {"line": _trainable(plain)}
    if settings.align == "none":
        return ends, Aligned({}, 0, 0)
    few = selection.indices[: _MATCHED if settings.align == "activations" else 4]
    batches = read(subject.data, few, 256, weight_of(model))
    aligned = align(model, plain, batches, settings.align, seed)
    unaligned = ("leave its units where they are with ", Setting("path.align"), " none")
    check_left_behind(model, plain, f"{name}, aligned", unaligned)
    ends["aligned"] = _trainable(plain)
    return ends, aligned


def drawn_for_statistics(
    subject: Subject, selection: Selection, count: int, seed: int
) -> Selection | None:
    """Draw samples of all classes together; ``None`` where all are judged and are no more."""
    known = (subject.data.labels >= 0).nonzero().flatten()
    if len(selection.indices) == len(known) <= count:
        return None
    count = min(count, len(known))
    generator = torch.Generator().manual_seed(seed)
    chosen = known[torch.randperm(len(known), generator=generator)[:count]]
    return Selection(chosen, torch.full((count,), 1 / count, dtype=torch.float64))


def _trainable(model: nn.Module) -> Direction:
    return [p.detach().clone() for p in model.parameters() if p.requires_grad]


def _evaluated(
    evaluator: Evaluator,
    ways: Mapping[str, tuple[Direction, Direction | None]],
    t: Array,
    progress: Progress | None,
) -> tuple[list[Array], list[Array]]:
    """Evaluate every sample at all points of all paths: losses and hits, (T, n) a path."""
    losses, hits, done = list[Array](), list[Array](), 0
    for end, bend in ways.values():
        found = []
        for at in t:
            evaluator.move(*place(end, bend, float(at)))
            found.append(evaluator.per_sample(centre=at == 0))
            done += 1
            if progress is not None:
                progress(f"{done} of {len(ways) * len(t)} points")
        losses.append(np.stack([loss.cpu().numpy() for loss, _ in found]))
        hits.append(np.stack([hit.cpu().double().numpy() for _, hit in found]))
    return losses, hits


def _scopes(subject: Subject, evaluator: Evaluator, split: SplitName | None) -> list[Scope]:
    """List all samples, the groups and the classes, as far as they have samples."""
    names = ("overall", "head", "mid", "tail", "classes")
    present = set(evaluator.labels.tolist())
    return [s for s in subject.scopes(names, split) if present.intersection(s.classes)]


@dataclass(frozen=True)
class _Barrier:
    """The top of a path over the line between its ends."""

    height: float
    sem: float
    at: float


def _barriers(
    losses: Sequence[Array],
    hits: Sequence[Array],
    t: Array,
    scopes: Sequence[Scope],
    labels: NDArray[np.int64],
    mixed: Mapping[str, Array],
) -> dict[str, Array]:
    found = {
        "barrier": (losses, mixed["share"]),
        "accuracy_drop": ([1 - one for one in hits], mixed["frequency"]),
    }
    fields = {}
    for name, (ways, shares) in found.items():
        tops = [[_barrier(one, t, scope, labels, shares) for scope in scopes] for one in ways]
        fields[name] = np.array([[top.height for top in row] for row in tops])
        fields[f"{name}_sem"] = np.array([[top.sem for top in row] for row in tops])
        if name == "barrier":
            fields["barrier_at"] = np.array([[top.at for top in row] for row in tops])
    return fields


def _barrier(
    each: Array, t: Array, scope: Scope, labels: NDArray[np.int64], shares: Array
) -> _Barrier:
    """Find the top (T, n) of a scope; its error is that of a mean stratified by class."""
    present = [c for c in scope.classes if (labels == c).any()]
    above = each - np.outer(1 - t, each[0]) - np.outer(t, each[-1])
    members = [above[:, labels == c] for c in present]
    weights = shares_within(present, shares, shares)
    heights = np.stack([one.mean(axis=1) for one in members], axis=1) @ weights
    top = int(np.nanargmax(heights)) if np.isfinite(heights).any() else 0
    variance = 0.0
    for weight, one in zip(weights, members, strict=True):
        count = one.shape[1]
        if weight > 0:
            spread = one[top].var(ddof=1) if count > 1 else np.nan
            variance += weight**2 * spread / count
    return _Barrier(float(heights[top]), float(np.sqrt(variance)), float(t[top]))


def _sums(each: Array, labels: NDArray[np.int64], classes: int) -> Array:
    return np.stack([np.bincount(labels, row, minlength=classes) for row in each])


def _means(each: Array, labels: NDArray[np.int64], classes: int) -> Array:
    with np.errstate(invalid="ignore"):
        return _sums(each, labels, classes) / np.bincount(labels, minlength=classes)


def _length(end: Direction) -> float:
    return float(sum(float(part.double().square().sum()) for part in end)) ** 0.5
