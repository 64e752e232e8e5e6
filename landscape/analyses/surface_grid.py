"""Evaluate a grid of points around a model, coarse points first, resumable.

A grid of 2^k + 1 points a side is filled from a coarse one inwards, so that there is a picture
after a few points and each further one refines it. Non-finite losses are stored as they are.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from landscape.config import SurfaceConfig
from landscape.groups import SplitName, split_classes
from landscape.results.basin import nodes
from landscape.results.surface import Surface
from landscape.subject.subject import Subject
from landscape.weight_space.directions import Direction, Plane
from landscape.weight_space.evaluator import Evaluator
from landscape.weight_space.points import Points
from landscape.weight_space.projection import projected

Array = NDArray[np.float64]
COARSE = 8  # points of the finest grid from one to the next of the coarsest


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
    arrays = {
        "x": x,
        "y": y,
        "loss": np.full(shape, np.nan),
        "correct": np.zeros(shape, dtype=np.int64),
        "objective_name": np.array(evaluator.objective_name),
        "done": np.zeros(shape[:2], dtype=bool),
        "class_name": np.array(subject.class_names),
        "training_count": np.array(subject.class_counts),
        "samples": evaluator.samples.numpy(),
        "direction_kind": np.array(plane.kind),
        "direction_norm": np.array(plane.norms),
        "direction_cosine": np.array(plane.cosine),
        "normalisation": np.array(plane.normalisation),
        "explained": np.array(plane.explained),
        "trajectory_epoch": np.zeros(0, dtype=np.int64),
        "trajectory_xy": nothing,
        "trajectory_residual": np.zeros(0),
        "mark_name": np.array([], dtype=str),
        "mark_xy": nothing,
        "mark_residual": np.zeros(0),
        "split": np.array(split_classes(subject.class_counts, split)[0]),
    }
    return Surface(**Surface.completed(arrays))


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
    *,
    refine: Sequence[float] = (),
    at_once: int = 1,
) -> Surface:
    """Evaluate the points that are not done; the arrays are filled in place.

    Args:
        surface: from :func:`empty_surface`, or a partial one.
        evaluator: of the same samples.
        plane: the same directions.
        report: called after each point with the numbers of points done and known to be wanted.
        refine: contours, as multiples of each scope's least loss, that are followed to the grid's
            full fineness; all points without any.
        at_once: points evaluated at once.

    Returns:
        The surface with its basins, all points done that are wanted.
    """
    points, done = Points(evaluator, plane.directions, at_once), int(surface.done.sum())
    while wanted := _wanted(surface, refine):
        total = done + len(wanted)
        for start in range(0, len(wanted), at_once):
            part = wanted[start : start + at_once]
            for place, found in zip(part, points.at(_steps(surface, plane, part)), strict=True):
                surface.loss[place] = found.loss.numpy()
                surface.correct[place] = found.correct.numpy()
                surface.objective[place] = found.objective.numpy()
                surface.done[place] = True
                done += 1
                if report is not None:
                    report(done, total)
    return surface.with_basins()


def _steps(
    surface: Surface, plane: Plane, places: Sequence[tuple[int, int]]
) -> list[tuple[float, ...]]:
    """Steps along the directions to places of the grid."""
    both = [(float(surface.x[column]), float(surface.y[row])) for row, column in places]
    return [steps[: len(plane.directions)] for steps in both]


def _wanted(surface: Surface, refine: Sequence[float]) -> list[tuple[int, int]]:
    """List the points to evaluate next, coarse ones first; none once all are done.

    With contours to follow, every :data:`COARSE`-th point comes first, then what halves the cells
    that a contour crosses, as far as the points in and around a cell can tell, or that hold a
    scope's least loss.
    """
    rows, columns = surface.done.shape
    chosen = (_refined(surface, refine) if refine else True) & ~surface.done
    return [place for place in refinement_order(columns, rows) if chosen[place]]


def _refined(surface: Surface, refine: Sequence[float]) -> NDArray[np.bool_]:
    """Choose coarse points and the checkpoint, then those along contours and at minima."""
    done, chosen = surface.done, np.zeros_like(surface.done)
    chosen[np.ix_(*(nodes(count, COARSE) for count in done.shape))] = True
    chosen[np.ix_(surface.y == 0, surface.x == 0)] = True
    if not (chosen & ~done).any():
        losses = np.stack([surface.scope_loss(str(scope)) for scope in surface.scope], axis=2)
        losses = np.where(done[..., None] & np.isnan(losses), np.inf, losses)
        least = np.nanmin(losses, axis=(0, 1))
        stride = COARSE
        while stride > 1:
            for cell in _cells(done.shape, stride):
                if _is_of_interest(losses[cell], least, refine):
                    _halve(chosen, cell, stride)
            stride //= 2
    return chosen


def _cells(shape: tuple[int, ...], stride: int) -> Iterator[tuple[slice, slice]]:
    """Yield the cells of a coarse grid with their borders."""
    sides = [[slice(a, b + 1) for a, b in pairwise(nodes(n, stride).tolist())] for n in shape]
    yield from product(*(side or [slice(0, 1)] for side in sides))


def _is_of_interest(losses: Array, least: Array, refine: Sequence[float]) -> bool:
    """Whether a known cell (Y, X, S) holds a least loss (S,), or a contour crosses it."""
    if np.isnan(losses[[0, 0, -1, -1], [0, -1, 0, -1]]).any():
        return False
    low, high = np.nanmin(losses, axis=(0, 1)), np.nanmax(losses, axis=(0, 1))
    levels = least[:, None] * np.array(refine)
    crossed = (low[:, None] < levels) & (levels <= high[:, None])
    return bool(crossed.any() or (low == least).any())


def _halve(chosen: NDArray[np.bool_], cell: tuple[slice, slice], stride: int) -> None:
    """Choose the points of the next finer grid in a cell."""
    fine = [nodes(count, stride // 2) for count in chosen.shape]
    inside = [n[(n >= s.start) & (n < s.stop)] for n, s in zip(fine, cell, strict=True)]
    chosen[np.ix_(*inside)] = True


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
