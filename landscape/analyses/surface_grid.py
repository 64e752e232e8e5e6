"""Evaluate a grid of points around a model, coarse points first, resumable.

A grid of 2^k + 1 points a side is filled from a coarse one inwards, so that there is a picture
after a few points and each further one refines it. Non-finite losses are stored as they are.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from landscape.config import SurfaceConfig
from landscape.groups import SplitName, split_classes
from landscape.results.surface import Surface
from landscape.subject.subject import Subject
from landscape.weight_space.directions import Direction, Plane
from landscape.weight_space.evaluator import Evaluator
from landscape.weight_space.projection import projected

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ProjectedPoints:
    """Other checkpoints projected on the plane."""

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
        subject: at the centre.
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


def with_points(surface: Surface, trajectory: ProjectedPoints, marks: ProjectedPoints) -> Surface:
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
    """Evaluate the points that are not done; the arrays are filled in place.

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
    """Space steps evenly, with 0 exact where the range holds it.

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


def grid_steps(plane: Plane, settings: SurfaceConfig) -> tuple[Array, Array]:
    """Compute the steps along both directions, (X,) and (Y,); a single 0 along one that is not."""
    x = steps_of(settings.x, settings.points)
    if len(plane.directions) == 1:
        return x, np.zeros(1)
    return x, steps_of(settings.y, settings.points_y or settings.points)


def project(evaluator: Evaluator, plane: Plane, named: Mapping[str, Direction]) -> ProjectedPoints:
    """Project checkpoints on a plane.

    Args:
        evaluator: whose centre is at (0, 0).
        plane: one or two directions.
        named: weights by name.
    """
    coordinates, distances = projected(plane, evaluator.centre, named.values())
    return ProjectedPoints(tuple(named), coordinates, distances)
