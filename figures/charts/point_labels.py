"""Place labels beside points, none over another, each as near as possible or with a line to it.

Labels are placed one after the other and then again, given all others, until none moves. A place
costs its distance from the point, and much more for labels, points and error bars it covers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from numpy.typing import NDArray

Array = NDArray[np.float64]  # boxes are left, bottom, right, top; inches
_SIZE = 6  # points
_GAP = 0.015  # around a label, inches
_REACH = 0.06  # of a marker around its point, inches
_NEAR = 0.13  # of a label that needs no line, from its edge to the point, inches
_CLEAR = 0.05  # by which other points are farther from such a label, inches
_STEP = 0.06  # between places that are tried, inches
_COVERS = 100.0  # cost of covering a square inch of labels and points, in inches of distance
_COVERS_BAR = 10.0
_CROSSES = 0.5  # cost of a line over a label, or of a label over a line
_ROUNDS = 8


def label_points(
    figure: Figure,
    axes: Axes,
    labels: Sequence[str],
    places: Array,
    bars: Array | None = None,
    colours: Sequence[str] | None = None,
) -> None:
    """Write labels beside points; limits have to be set before.

    Args:
        figure: the figure; it is laid out.
        axes: where the points are.
        labels: one a point (N,).
        places: the points (N, 2), in data coordinates.
        bars: ends of error bars that labels had better not cover (B, 4): left, bottom, right, top.
        colours: of the lines to labels that stand apart (N,). Default: grey.
    """
    figure.draw_without_rendering()
    inches = figure.dpi_scale_trans.inverted()
    at = inches.transform(axes.transData.transform(places))
    style: dict[str, Any] = {"fontsize": _SIZE, "ha": "center", "va": "center"}
    style["textcoords"] = "offset points"
    notes = []
    for k, (label, place) in enumerate(zip(labels, places, strict=True)):
        line = {"arrowstyle": "-", "lw": 0.4, "color": colours[k] if colours else "0.5"}
        line |= {"shrinkA": 0, "shrinkB": 2}
        notes.append(axes.annotate(label, place, (0, 0), arrowprops=line, **style))
    sizes = np.array([_size(note, figure) for note in notes])
    room = np.array(axes.get_window_extent().transformed(inches).extents)
    ends = np.zeros((0, 4)) if bars is None else bars.reshape(-1, 2)
    thin = inches.transform(axes.transData.transform(ends)).reshape(-1, 4) if len(ends) else ends
    for k, (note, box) in enumerate(zip(notes, _placed(at, sizes, room, thin), strict=True)):
        note.set_position(tuple(72 * (_centre(box[None])[0] - at[k])))
        if note.arrow_patch is not None:
            note.arrow_patch.set_visible(_needs_line(k, box, at))
        note.set_in_layout(False)


def _placed(at: Array, sizes: Array, room: Array, bars: Array) -> list[Array]:
    """Choose a box for every label.

    Args:
        at: points (N, 2), inches.
        sizes: of the labels (N, 2).
        room: box that the labels shall stay in.
        bars: boxes of error bars (B, 4).
    """
    points = np.hstack([at - _REACH, at + _REACH])
    tried = [_candidates(point, size, room) for point, size in zip(at, sizes, strict=True)]
    found: dict[int, Array] = {}
    for _ in range(_ROUNDS):
        before = dict(found)
        for k, boxes in enumerate(tried):
            costs = _apart(boxes, at[k])
            costs += _COVERS * _overlaps(boxes, points) + _COVERS_BAR * _overlaps(boxes, bars)
            for j, box in found.items():
                if j == k:
                    continue
                costs += _COVERS * _overlaps(boxes, box[None])
                costs += _CROSSES * _crosses(at[j], box[None], boxes)
                costs += _CROSSES * _crosses(at[k], boxes, box[None])
            found[k] = boxes[int(costs.argmin())]
        if before and all(np.array_equal(box, before[k]) for k, box in found.items()):
            break
    return [found[k] for k in range(len(at))]


def _candidates(point: Array, size: Array, room: Array) -> Array:
    """List boxes of a label's size (C, 4): beside the point, and on a grid over the room."""
    half, reach = size / 2, _REACH + _GAP
    steps = np.array([(i, j) for i in (1, 0, -1) for j in (0, 1, -1) if i or j])
    beside = point + steps * (half + reach)
    (left, bottom), (right, top) = room[:2] + half + _GAP, room[2:] - half - _GAP
    grid = np.meshgrid(np.arange(left, right, _STEP), np.arange(bottom, top, _STEP))
    centres = np.vstack([beside, np.stack([part.ravel() for part in grid], axis=1)])
    inside = ((centres >= (left, bottom)) & (centres <= (right, top))).all(axis=1)
    kept = centres[inside] if inside.any() else beside
    return np.hstack([kept - half, kept + half])


def _size(note: Annotation, figure: Figure) -> Array:
    """Measure a label, without its line and with the gap around it, inches."""
    extent = Text.get_window_extent(note).transformed(figure.dpi_scale_trans.inverted())
    return np.array([extent.width, extent.height]) + 2 * _GAP


def _needs_line(k: int, box: Array, at: Array) -> bool:
    """Tell whether a label is far from its point, or not clearly nearer to it than to another."""
    own = _apart(box[None], at[k])[0]
    others = [_apart(box[None], point)[0] for j, point in enumerate(at) if j != k]
    return bool(own > _NEAR or min(others, default=np.inf) < own + _CLEAR)


def _centre(boxes: Array) -> Array:
    middle: Array = (boxes[:, :2] + boxes[:, 2:]) / 2
    return middle


def _apart(boxes: Array, point: Array) -> Array:
    """Compute the distance of a point from each box (C,)."""
    outside = np.maximum(0, np.maximum(boxes[:, :2] - point, point - boxes[:, 2:]))
    distance: Array = np.hypot(outside[:, 0], outside[:, 1])
    return distance


def _overlaps(boxes: Array, others: Array) -> Array:
    """Compute the area that each box shares with all others (C,); a bar counts as a hair wide."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2] - _GAP / 2)
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:] + _GAP / 2)
    area: Array = np.maximum(high - low, 0).prod(axis=2).sum(axis=1)
    return area


def _crosses(point: Array, boxes: Array, others: Array) -> NDArray[np.bool_]:
    """Tell whether lines from a point to labels cross other boxes; one of both is a single box."""
    share = np.linspace(0, 1, 20)[:, None, None]
    along = point + share * (_centre(boxes) - point)  # (20, C, 2)
    over = ((along > others[:, :2]) & (along < others[:, 2:])).all(axis=2).any(axis=0)
    lined: NDArray[np.bool_] = over & (_apart(boxes, point) > _NEAR)
    return lined
