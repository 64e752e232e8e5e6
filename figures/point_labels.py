"""Labels beside points, each where it covers least of what is drawn already."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

Box = tuple[float, float, float, float]  # left, bottom, right, top; inches
_SIZE = 6  # points
_HEIGHT = 0.1  # of a label of that size, inches
_CHARACTER = 0.043  # its mean width, inches
_REACH = 0.06  # of a marker around its point, inches


def label_points(
    figure: Figure, axes: Axes, labels: Sequence[str], places: NDArray[np.float64]
) -> None:
    """Write labels beside points; limits have to be set before.

    Args:
        figure: the figure; it is laid out.
        axes: where the points are.
        labels: one a point (N,).
        places: the points (N, 2), in data coordinates.
    """
    figure.draw_without_rendering()
    inches = figure.dpi_scale_trans.inverted()
    at = inches.transform(axes.transData.transform(places))
    left, bottom, right, top = axes.get_window_extent().transformed(inches).extents
    taken = [_around(x, y, 2 * _REACH, 2 * _REACH) for x, y in at]
    style: dict[str, Any] = {"fontsize": _SIZE, "ha": "center", "va": "center"}
    for label, place, (x, y) in zip(labels, places, at, strict=True):
        boxes = _candidates(x, y, _CHARACTER * len(label))
        inside = [b for b in boxes if b[0] > left and b[1] > bottom and b[2] < right and b[3] < top]
        box = min(inside or boxes, key=lambda b: sum(_overlap(b, other) for other in taken))
        taken.append(box)
        offset = (36 * (box[0] + box[2]) - 72 * x, 36 * (box[1] + box[3]) - 72 * y)
        note = axes.annotate(label, place, offset, textcoords="offset points", **style)
        note.set_in_layout(False)


def _candidates(x: float, y: float, width: float) -> list[Box]:
    """Boxes around a point, best first."""
    found = []
    for reach in (0.11, 0.18):
        aside, above = width / 2 + reach, _HEIGHT / 2 + reach
        steps = [(aside, 0), (-aside, 0), (0, above), (0, -above)]
        steps += [(i * aside, j * above) for i in (1, -1) for j in (1, -1)]
        found += [_around(x + i, y + j, width, _HEIGHT) for i, j in steps]
    return found


def _around(x: float, y: float, width: float, height: float) -> Box:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _overlap(one: Box, other: Box) -> float:
    """Area two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)
