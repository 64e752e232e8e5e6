"""Make the texts of a drawn figure fit: turn ticks, wrap titles and labels, narrow legends.

Numbers in texts get the minus that axes have.
"""

import textwrap
from collections import defaultdict
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from landscape.results.table import typeset

_LEAST = 12  # characters of a line
_LINE = 1.3  # height of a line, over the size of its font
_APART = 2.0  # pixels between ticks
_LONG = 1.05  # of a label, over the length of its axes


def fit_texts(figure: Figure) -> Figure:
    """Make the texts of a figure fit, which grows by the height that they take more.

    Ticks that would cover each other are turned upright; titles that would leave the figure or
    reach into a neighbour's are wrapped, as are labels of axes that are longer than these.

    Args:
        figure: drawn, with a layout of its own.

    Returns:
        The figure.
    """
    for text in figure.findobj(Text):
        text.set_text(typeset(text.get_text()))
    figure.draw_without_rendering()
    places = [axes for axes in figure.axes if axes.get_visible() and axes.name != "3d"]
    more: dict[int, float] = defaultdict(float)  # inches that a row takes more
    for axes in places:
        row = _row(axes)
        more[row] = max(more[row], _turn_ticks(axes) / figure.dpi)
    grown = sum(more.values()) + _narrow_legends(figure)
    if grown:
        figure.set_figheight(figure.get_figheight() + grown)
        figure.draw_without_rendering()
    lines: dict[int, float] = defaultdict(float)
    under: dict[int, float] = defaultdict(float)
    for axes in places:
        row = _row(axes)
        lines[row] = max(
            lines[row], _wrap(axes.title, _room(axes, places, float(figure.bbox.width)))
        )
        under[row] = max(under[row], _wrap_labels(axes, alone=len(places) == 1))
    taken = sum(lines.values()) + sum(under.values())
    taken += sum(_wrap(text, 0.98 * figure.bbox.width) for text in figure.texts)
    figure.set_figheight(figure.get_figheight() + taken)
    return figure


def _wrap_labels(axes: Axes, *, alone: bool) -> float:
    """Wrap labels longer than the axes they name; return the height they take more, inches."""
    own = axes.get_window_extent()
    if axes.yaxis.label.get_window_extent().height > _LONG * own.height:
        _wrap(axes.yaxis.label, own.height, upright=True)
    below = axes.xaxis.label
    is_long = below.get_window_extent().width > _LONG * own.width
    return _wrap(below, own.width) if is_long and not alone else 0.0


def _row(axes: Axes) -> int:
    place = axes.get_subplotspec()
    return -1 if place is None else place.rowspan.start


def _turn_ticks(axes: Axes) -> float:
    """Turn ticks of texts that cover each other; return the height they take more, pixels."""
    labels = [t for t in axes.get_xticklabels() if t.get_visible() and t.get_text()]
    if not any(t.get_text()[0].isalpha() for t in labels) or labels[0].get_rotation():
        return 0.0
    boxes = sorted((t.get_window_extent() for t in labels), key=lambda box: box.x0)
    if all(a.x1 + _APART < b.x0 for a, b in pairwise(boxes)):
        return 0.0
    axes.tick_params(axis="x", labelrotation=90)
    longest, tallest = max(box.width for box in boxes), max(box.height for box in boxes)
    return float(longest - tallest)


def _room(axes: Axes, places: list[Axes], width: float) -> float:
    """Measure the width that a title centred above the axes may take, pixels."""
    own = axes.get_window_extent()
    left, right = 0.0, width
    for other in places:
        box = other.get_window_extent()
        if other is axes or not other.get_title() or box.y1 <= own.y0 or box.y0 >= own.y1:
            continue
        if box.x1 <= own.x0:
            left = max(left, (box.x1 + own.x0) / 2)
        if box.x0 >= own.x1:
            right = min(right, (box.x0 + own.x1) / 2)
    middle = (own.x0 + own.x1) / 2
    return 2 * min(middle - left, right - middle)


def _wrap(text: Text, room: float, *, upright: bool = False) -> float:
    """Wrap a text that is longer than its room; return the height it takes more, inches."""
    box, before = text.get_window_extent(), text.get_text().split("\n")
    length = box.height if upright else box.width
    if length <= room or not length:
        return 0.0
    most = max(int(max(map(len, before)) * room / length), _LEAST)
    after = [part for line in before for part in textwrap.wrap(line, most) or [""]]
    text.set_text("\n".join(after))
    return _LINE * float(text.get_fontsize()) / 72 * (len(after) - len(before))


def _narrow_legends(figure: Figure) -> float:
    """Give legends wider than the figure fewer columns; return the height they take more."""
    taken = 0.0
    legends: list[Any] = figure.legends  # whose columns have no public name
    for legend in legends:
        before, width = legend.get_window_extent(), figure.bbox.width
        if before.width > width and legend._ncols > 1:
            rows = -(-len(legend.get_texts()) // legend._ncols)
            legend.set_ncols(max(int(legend._ncols * width / before.width), 1))
            more = -(-len(legend.get_texts()) // legend._ncols) / rows - 1
            taken += float(before.height) * more / figure.dpi
    return taken
