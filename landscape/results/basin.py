"""Measure basins on a surface: the least loss of every scope, and the share of the plane near it.

A scope's basin is where its loss is below twice the least found on the plane. Its share of the
plane is that of the piecewise linear loss between the points; cells that its border passes through
bracket it. No tensor library is imported here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from landscape.results.fields import Array

MULTIPLE = 2.0  # of the least loss, up to which a basin reaches
_FAR = 100.0  # in place of losses that are higher or no numbers, over the basin's border


@dataclass(frozen=True)
class Basin:
    """The least loss of a scope on a plane, and the share of the plane near it."""

    minimum: float = np.nan
    at: tuple[float, float] = (np.nan, np.nan)  # steps along the directions
    distance: float = np.nan  # Euclidean, of the parameters from the checkpoint
    centre: float = np.nan  # loss at the checkpoint; NaN where it is no point of the grid
    share: float = np.nan  # of the plane, below twice the minimum
    bracket: tuple[float, float] = (np.nan, np.nan)  # cells inside, and with those it passes
    cut: bool = False  # whether it reaches the plane's edge


@dataclass(frozen=True)
class Grid:
    """Points of a plane, and which are computed."""

    x: Array  # (X,)
    y: Array  # (Y,), a single 0 on a line
    done: Array  # (Y, X) bool
    length: Callable[[float, float], float]  # Euclidean, of so many steps along each direction

    def basin(self, loss: Array) -> Basin:
        """Find the basin of losses (Y, X), once all points that were asked for are computed."""
        finite = self.done & np.isfinite(loss)
        if not finite.any():
            return Basin()
        row, column = np.unravel_index(np.where(finite, loss, np.inf).argmin(), loss.shape)
        least, x, y = float(loss[row, column]), float(self.x[column]), float(self.y[row])
        centre = np.where(self.done, loss, np.nan)[np.ix_(self.y == 0, self.x == 0)].ravel()
        share, bracket, cut = self._below(loss, MULTIPLE * least)
        return Basin(
            least,
            (x, y),
            self.length(x, y),
            float(centre[0]) if centre.size else np.nan,
            share,
            bracket,
            cut,
        )

    def _below(self, loss: Array, level: float) -> tuple[float, tuple[float, float], bool]:
        """Measure where losses are below a level above 0: share, bracket, at the edge or not."""
        stride = _known_stride(self.done)
        if level <= 0 or stride == 0:
            return np.nan, (np.nan, np.nan), False
        finite = np.where(np.isfinite(loss), loss, np.inf)
        over = _filled(np.minimum(finite / level, _FAR), self.done, stride) - 1
        over = np.repeat(over, 2, axis=0) if len(over) == 1 else over
        corners = np.stack([over[:-1, :-1], over[:-1, 1:], over[1:, 1:], over[1:, :-1]])
        y = self.y if len(self.y) > 1 else np.array([0.0, 1.0])
        area = np.outer(np.diff(y), np.diff(self.x))
        area = area / area.sum()
        inside, touched = (corners < 0).all(axis=0), (corners < 0).any(axis=0)
        edges = [over[:, 0], over[:, -1], *([over[0], over[-1]] if len(self.y) > 1 else [])]
        return (
            float((area * _share_below(corners)).sum()),
            (float(area[inside].sum()), float(area[touched].sum())),
            bool((np.concatenate(edges) < 0).any()),
        )


def nodes(count: int, stride: int) -> Array:
    """List the places of a coarse grid: every ``stride``-th around the middle one, and the ends."""
    inner = range(count // 2 % stride, count, stride)
    return np.array(sorted({0, *inner, count - 1}))


def _known_stride(done: Array) -> int:
    """Find the coarsest grid whose points are all computed; 0 if there is none."""
    stride = 2 ** max(done.shape).bit_length()
    while stride and not done[np.ix_(*(nodes(n, stride) for n in done.shape))].all():
        stride //= 2
    return stride


def _filled(values: Array, done: Array, stride: int) -> Array:
    """Interpolate what is not computed, bilinearly between the points of the next coarser grid."""
    found = values.copy()
    while stride > 1:
        coarse, fine = ([nodes(n, s) for n in done.shape] for s in (stride, stride // 2))
        rows, columns = (_weights(f, c) for f, c in zip(fine, coarse, strict=True))
        between = rows @ found[np.ix_(*coarse)] @ columns.T
        place = np.ix_(*fine)
        found[place] = np.where(done[place], found[place], between)
        stride //= 2
    return found


def _weights(fine: Array, coarse: Array) -> Array:
    """Weights (F, C) of linear interpolation."""
    return np.stack([np.interp(fine, coarse, unit) for unit in np.eye(len(coarse))], axis=1)


def _share_below(corners: Array) -> Array:
    """Share of each cell (4, …), as four triangles around its mean, where values are below 0."""
    middle = corners.mean(axis=0)
    found = [
        _triangle_below(np.sort([corners[k], corners[(k + 1) % 4], middle], axis=0))
        for k in range(4)
    ]
    share: Array = np.mean(found, axis=0)
    return share


def _triangle_below(ordered: Array) -> Array:
    """Share of each triangle where a linear function of corners a ≤ b ≤ c is below 0."""
    a, b, c = ordered
    with np.errstate(divide="ignore", invalid="ignore"):
        tip = a**2 / ((b - a) * (c - a))
        rest = 1 - c**2 / ((c - a) * (c - b))
    return np.select([c <= 0, a >= 0, b >= 0], [1.0, 0.0, tip], rest)
