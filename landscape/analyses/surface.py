"""Loss surfaces: every class at every point of a grid, coarse points first, resumable.

A grid of 2^k + 1 points a side is filled from a coarse one inwards, so that there is a picture
after a few points and each further one refines it. Non-finite losses are stored as they are.
"""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landscape.analyses.analysis import Call, Progress, by_keyword
from landscape.config import DiagnoseConfig
from landscape.curvature.operator import CurvatureOperator
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.errors import InputError
from landscape.groups import SplitName, split_classes
from landscape.results.surface import Surface
from landscape.subject.state_dict import load_state, read_state
from landscape.subject.subject import Selection, Subject
from landscape.weight_space.directions import (
    Direction,
    Plane,
    hessian_plane,
    plane_through,
    principal_plane,
    random_plane,
)
from landscape.weight_space.evaluator import Evaluator
from landscape.weight_space.projection import projected

Array = NDArray[np.float64]
Weights = nn.Module | Mapping[str, Tensor] | str | FilePath


@dataclass(frozen=True)
class Path:
    """Other checkpoints seen from the plane."""

    names: tuple[str, ...]
    coordinates: Tensor  # (T, 2)
    distances: Tensor  # (T,) off the plane


def refinement_order(columns: int, rows: int) -> Iterator[tuple[int, int]]:
    """Yield all grid indices ``(row, column)`` once, coarse levels first, the centre foremost."""
    levels = max(columns, rows).bit_length()
    seen = set()
    middle = (rows // 2, columns // 2)
    for level in range(levels, -1, -1):
        stride = 2**level
        for row in range(middle[0] % stride, rows, stride):
            for column in range(middle[1] % stride, columns, stride):
                if (row, column) not in seen:
                    seen.add((row, column))
                    yield row, column


def empty_surface(
    subject: Subject,
    evaluator: Evaluator,
    plane: Plane,
    x: Array,
    y: Array,
    split: SplitName | None = None,
) -> Surface:
    """Prepare a surface on which nothing is done yet.

    Args:
        subject: what is judged.
        evaluator: of its samples.
        plane: directions.
        x: (X,) steps along the first.
        y: (Y,) along the second; ``[0]`` for a line.
        split: that defines head, mid and tail.
    """
    shape = (len(y), len(x), subject.num_classes)
    nothing = np.zeros((0, 2))
    return Surface(
        x=x,
        y=y,
        loss=np.full(shape, np.nan),
        correct=np.zeros(shape, dtype=np.int64),
        done=np.zeros(shape[:2], dtype=bool),
        class_name=np.array(subject.class_names),
        training_count=np.array(subject.class_counts),
        samples=evaluator.samples.numpy(),
        direction_kind=np.array(plane.kind),
        direction_norm=np.array(plane.norms),
        direction_cosine=np.array(plane.cosine),
        normalisation=np.array(plane.normalisation),
        explained=np.array(plane.explained),
        trajectory_epoch=np.zeros(0, dtype=np.int64),
        trajectory_xy=nothing,
        trajectory_residual=np.zeros(0),
        mark_name=np.array([], dtype=str),
        mark_xy=nothing,
        mark_residual=np.zeros(0),
        split=np.array(split_classes(subject.class_counts, split)[0]),
    )


def with_paths(surface: Surface, trajectory: Path, marks: Path) -> Surface:
    """Add the run's own checkpoints (named by epoch) and those of others."""
    return replace(
        surface,
        trajectory_epoch=np.array([int(name) for name in trajectory.names], dtype=np.int64),
        trajectory_xy=trajectory.coordinates.numpy(),
        trajectory_residual=trajectory.distances.numpy(),
        mark_name=np.array(marks.names, dtype=str),
        mark_xy=marks.coordinates.numpy(),
        mark_residual=marks.distances.numpy(),
    )


def evaluate_grid(
    surface: Surface,
    evaluator: Evaluator,
    plane: Plane,
    report: Callable[[int, int], None] | None = None,
) -> Surface:
    """Judge the points that are not done; the arrays are filled in place.

    Args:
        surface: from :func:`empty_surface`, or a partial one.
        evaluator: of the same samples.
        plane: the same directions.
        report: called after each point with the numbers of points done and wanted.

    Returns:
        The surface, all points done.
    """
    rows, columns = surface.done.shape
    total, done = rows * columns, int(surface.done.sum())
    for row, column in refinement_order(columns, rows):
        if surface.done[row, column]:
            continue
        steps = (float(surface.x[column]), float(surface.y[row]))[: len(plane.directions)]
        found = evaluator.at(plane.directions, steps)
        surface.loss[row, column] = found.loss.numpy()
        surface.correct[row, column] = found.correct.numpy()
        surface.done[row, column] = True
        done += 1
        if report is not None:
            report(done, total)
    return surface


def steps_of(reach: tuple[float, float], points: int) -> Array:
    """Evenly spaced steps that hold 0 exactly when the range does.

    Args:
        reach: least and largest step.
        points: how many.
    """
    low, high = reach
    found = np.linspace(low, high, points)
    if low < 0 < high:
        nearest = int(np.argmin(np.abs(found)))
        if math.isclose(found[nearest], 0.0, abs_tol=1e-12 * (high - low)):
            found[nearest] = 0.0
    return found


def evaluator_of(subject: Subject, selection: Selection, config: DiagnoseConfig) -> Evaluator:
    """Prepare to judge a subject over a surface.

    Args:
        subject: its centre.
        selection: samples judged.
        config: with the surface's settings.
    """
    statistics = config.surface.statistics
    if statistics == "recomputed":  # of batches that mix the classes
        selection = subject.mixed(selection, config.seed)
    return Evaluator(
        subject,
        selection,
        statistics=statistics,
        dtype=getattr(torch, config.dtype),
        batch_size=config.batch_size,
    )


def plane_of(
    subject: Subject,
    evaluator: Evaluator,
    config: DiagnoseConfig,
    others: Sequence[Direction] = (),
) -> Plane:
    """Span the directions asked for.

    Args:
        subject: whose Hessian's extreme vectors may be taken.
        evaluator: whose centre the directions start from.
        config: with the settings of the surface and of the spectrum.
        others: weights of the checkpoints it goes through, or of the trajectory's other points.

    Raises:
        InputError: checkpoints that are too few or too many, or span no plane.
    """
    settings, centre = config.surface, evaluator.centre
    if settings.directions == "random":
        generator = torch.Generator().manual_seed(settings.seeds[0])
        return random_plane(
            centre,
            generator,
            count=settings.dimensions,
            kind=settings.normalisation,
            vectors=settings.vectors,
        )
    if settings.directions == "pca":
        plane = principal_plane(centre, others)
    elif settings.directions == "hessian":
        plane = hessian_plane(centre, _extreme_vectors(subject, config))
    else:
        if not 1 <= len(others) <= 2:
            raise InputError(
                f"a surface through checkpoints needs one or two, and there are {len(others)}"
            )
        plane = plane_through(centre, others)
    if settings.dimensions == 1:
        return Plane(plane.directions[:1], plane.kind[:1], plane.normalisation, plane.explained[:1])
    return plane


def grid_of(plane: Plane, config: DiagnoseConfig) -> tuple[Array, Array]:
    """Give the steps along both directions, (X,) and (Y,); a single 0 along one that is not."""
    settings = config.surface
    x = steps_of(settings.x, settings.points)
    if len(plane.directions) == 1:
        return x, np.zeros(1)
    return x, steps_of(settings.y, settings.points_y or settings.points)


def project(evaluator: Evaluator, plane: Plane, named: Mapping[str, Direction]) -> Path:
    """Project checkpoints on a plane.

    Args:
        evaluator: whose centre is at (0, 0).
        plane: one or two directions.
        named: weights by name.
    """
    coordinates, distances = projected(plane, evaluator.centre, named.values())
    return Path(tuple(named), coordinates, distances)


def weights_at(subject: Subject, other: Weights, name: str) -> Direction:
    """Read the trainable parameters of another checkpoint of a subject's model.

    Args:
        subject: whose model it is.
        other: a network of the same architecture, its state dict, or a file of one.
        name: of the checkpoint, for messages.

    Returns:
        One tensor a trainable parameter of the subject's model, in its order.

    Raises:
        InputError: it does not fit the model.
    """
    path = FilePath(name)
    if isinstance(other, (str, FilePath)):
        path = FilePath(other)
        state: Any = read_state(path)
    else:
        state = other.state_dict() if isinstance(other, nn.Module) else dict(other)
    model = copy.deepcopy(subject.model)
    load_state(model, state, path)
    return [p.detach() for p in model.parameters() if p.requires_grad]


@by_keyword
def surface(
    subject: Subject,
    *,
    through: Sequence[Weights] | Mapping[str, Weights] = (),
    trajectory: Mapping[int, Weights] | None = None,
    marks: Mapping[str, Weights] | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Surface:
    """Judge every class over a line or a plane of parameters around a model.

    Other checkpoints are networks of the same architecture, their state dicts, or files of these.

    Args:
        subject: model, data and loss; the model is at step 0.
        through: one or two checkpoints that lie at step 1 of a direction each.
        trajectory: checkpoints by epoch: their main directions with ``directions="pca"``, and their
            path over the plane in any case.
        marks: checkpoints by name, to be marked on the plane.
        progress: called with the numbers of points done and wanted after each.
        settings: ``split``, ``samples_per_class``, those of every analysis, and those of
            :class:`landscape.config.SurfaceConfig`, such as ``directions``, ``points``, ``x``,
            ``y``, ``dimensions`` and ``statistics``; ``seed`` is that of random directions.

    Raises:
        InputError: an unknown keyword, or checkpoints that do not fit the model or span no plane.
    """
    named = _named(through)
    if named:
        settings = {"directions": "checkpoints", **settings}
    own = {"through": tuple(named), "seeds": (settings.get("seed", 0),)}
    call = Call.of("surface", subject, settings, trajectory=bool(trajectory), **own)
    config, chosen = call.config, call.config.surface.directions
    if named and chosen != "checkpoints":
        raise InputError(
            f"directions are '{chosen}' and through names checkpoints; leave one of them out"
        )
    evaluator = evaluator_of(subject, call.everything(), config)
    path, ends = _path(subject, trajectory or {}), _weights(subject, named)
    others = _moved(path, evaluator.centre) if chosen == "pca" else list(ends.values())
    plane = plane_of(subject, evaluator, config, others)
    found = with_paths(
        empty_surface(subject, evaluator, plane, *grid_of(plane, config), config.split),
        project(evaluator, plane, path),
        project(evaluator, plane, _weights(subject, marks or {})),
    )

    def report(done: int, wanted: int) -> None:
        if progress is not None:
            progress(f"{done} of {wanted} points")

    recomputed = config.surface.statistics == "recomputed"
    found = evaluate_grid(found, evaluator, plane, report)
    return call.finish(found, "recomputed" if recomputed else "eval")


def _extreme_vectors(subject: Subject, config: DiagnoseConfig) -> Tensor:
    (scope,) = subject.scopes((config.surface.scope,), config.split)
    selection = subject.select(scope, config.samples_per_class, config.seed)
    settings = replace(config.spectrum, parameters=("*",), trace_probes=0)
    operator = CurvatureOperator(
        subject,
        selection,
        dtype=getattr(torch, config.dtype),
        batch_size=config.batch_size,
        memory_budget=settings.memory_budget,
    )
    generator = torch.Generator().manual_seed(config.seed)
    return operator_spectrum(operator, settings, generator).vectors


def _named(through: Sequence[Weights] | Mapping[str, Weights]) -> dict[str, Weights]:
    if isinstance(through, Mapping):
        return dict(through)
    return {f"checkpoint {k}": other for k, other in enumerate(through, 1)}


def _weights(subject: Subject, named: Mapping[str, Weights]) -> dict[str, Direction]:
    return {name: weights_at(subject, other, name) for name, other in named.items()}


def _path(subject: Subject, trajectory: Mapping[int, Weights]) -> dict[str, Direction]:
    for epoch in trajectory:
        if not isinstance(epoch, Integral):
            raise InputError(f"{epoch!r} is no epoch; give a trajectory as {{epoch: model}}")
    return {str(e): weights_at(subject, w, f"epoch {e}") for e, w in trajectory.items()}


def _moved(path: Mapping[str, Direction], centre: Direction) -> list[Direction]:
    """Leave the centre itself out of a trajectory."""
    return [
        weights
        for weights in path.values()
        if any(bool((w.to(c) != c).any()) for w, c in zip(weights, centre, strict=True))
    ]
