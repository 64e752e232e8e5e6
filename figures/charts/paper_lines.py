"""Draw panels of lines with matplotlib."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.ticker import (
    FuncFormatter,
    LogFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from figures.charts.names import short_names
from figures.charts.panel import Axis, Line, Panel, Style, broken_at, has_room_left, long_gaps
from figures.charts.scales import power_text
from landscape.results.fields import Array

DASHES: dict[str, Any] = {
    "solid": "-",
    "dash": "--",
    "dashdot": "-.",
    "dot": ":",
    "longdashdot": (0, (5, 1, 1, 1, 1, 1)),
}
_MOST_MARKERS = 12  # of a line without error bars
_STEPS = [1, 2, 2.5, 5, 10]
_END_SIZE = 6  # of the names at the ends of lines, points


def draw_panel(axes: Axes, panel: Panel) -> None:
    """Draw the lines of a panel, without its scales; see :func:`finish_axes`."""
    if panel.level is not None:
        axes.axhline(panel.level, color="0.6", lw=0.6, zorder=0)
    for line in panel.lines:
        _draw_line(axes, line)
    if panel.zero and panel.lines:
        axes.axvline(0, color="0.6", lw=0.5, zorder=0)
    if not panel.lines and panel.empty:
        axes.text(0.5, 0.5, panel.empty, transform=axes.transAxes, ha="center")
    _mark_reweighting(axes, panel)


def finish_axes(axes: Axes, panel: Panel, **title_style: Any) -> None:
    """Scale and label the axes of a panel, once all panels that share them are drawn."""
    axes.set_title(panel.title, **title_style)
    if panel.caption:  # translucent, as a curve may pass behind the text
        box: Style = {"fc": "white", "ec": "none", "alpha": 0.6, "pad": 0.5}
        corner: Style = {"ha": "right", "va": "top", "fontsize": 5, "linespacing": 1.25}
        axes.text(1, 0.99, panel.caption, transform=axes.transAxes, bbox=box, **corner)
    for side, axis in (("x", panel.x), ("y", panel.y)):
        _scale(axes, side, axis)
        axes.set(**{f"{side}label": axis.label})


def _mark_reweighting(axes: Axes, panel: Panel) -> None:
    """Mark the epoch at which deferred re-weighting begins, where it does."""
    epoch = panel.reweighting
    if epoch is None:
        return
    axes.axvline(epoch, color="0.5", ls=":", lw=0.8)
    if panel.names_reweighting:
        side = "right" if has_room_left(panel, epoch) else "left"
        style: Style = {"ha": side, "va": "top", "fontsize": 6, "color": "0.35"}
        axes.text(epoch, 1, " re-weighting ", transform=axes.get_xaxis_transform(), **style)


def label_ends(axes: Axes, panel: Panel, room: float) -> None:
    """Write each line's short name beside its last point, none over another; axes are scaled.

    Args:
        axes: of the panel.
        panel: its lines.
        room: about the height of the axes, points.
    """
    ends = [(line, at) for line in panel.lines if line.end and (at := _last(line)) is not None]
    if not ends:
        return
    axes.get_xlim(), axes.get_ylim()  # which brings the limits up to date
    shown = axes.transData.transform(np.array([at for _, at in ends]))
    heights = axes.transAxes.inverted().transform(shown)[:, 1].clip(0, 1)
    places = spread(heights, 1.1 * _END_SIZE / room)
    for (line, at), height, own in zip(ends, places, heights, strict=True):
        style: Style = {"va": "center", "fontsize": _END_SIZE, "color": line.colour}
        if abs(height - own) > 0.3 * _END_SIZE / room:
            thin: Style = {"arrowstyle": "-", "lw": 0.4, "color": line.colour}
            style["arrowprops"] = thin | {"shrinkA": 0, "shrinkB": 2, "relpos": (0, 0.5)}
        axes.annotate(line.end, at, (1.02, height), textcoords=axes.transAxes, **style)


def spread(heights: Array, gap: float) -> Array:
    """Move heights as little as possible, in least squares, until they are a gap apart.

    They stay between 0 and 1 where there is room.

    Args:
        heights: (N,) any order.
        gap: the least distance of neighbours.

    Returns:
        The new heights (N,), in the same order.
    """
    order = np.argsort(heights, kind="stable")
    blocks: list[list[float]] = []  # mean and size of those that have to move together
    for k, height in enumerate(heights[order]):
        blocks.append([height - k * gap, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [[(a * n + b * m) / (n + m), n + m]]
    found = np.empty(len(heights))
    means = np.concatenate([np.full(int(n), mean) for mean, n in blocks])
    places = means + gap * np.arange(len(heights))
    rest = 1 - gap * np.arange(len(heights))[::-1]
    found[order] = np.maximum(np.minimum(places, rest), gap * np.arange(len(heights)))
    return found


def _last(line: Line) -> tuple[float, float] | None:
    known = np.flatnonzero(np.isfinite(line.y))
    return (float(line.x[known[-1]]), float(line.y[known[-1]])) if known.size else None


def _draw_line(axes: Axes, line: Line) -> None:
    if line.sparse and long_gaps(line.x).any():
        line = _draw_gaps(axes, line)
    style: Style = {"color": line.colour, "ls": DASHES[line.dash] if line.joined else "none"}
    style |= {} if line.width is None else {"lw": line.width}
    style |= {"label": line.label} if line.key == "both" else {}
    if line.band is not None:
        axes.fill_between(line.x, *line.band, color=line.colour, alpha=line.shade[0], lw=0)
    if line.across:
        _draw_level(axes, line, style)
    elif line.error is not None or line.x_error is not None:
        bars = {"yerr": _visible(line.error), "xerr": _visible(line.x_error)}
        shape = line.marker[0] if line.marker else None
        axes.errorbar(line.x, line.y, marker=shape, capsize=line.cap, **bars, **style)
    else:
        if line.marker is not None and line.marked != 0:
            every = line.marked or (-(-len(line.x) // _MOST_MARKERS) if line.joined else None)
            style |= {"marker": line.marker[0], "markevery": every}
        drawstyle = "steps-post" if line.steps else "default"
        axes.plot(line.x, line.y, drawstyle=drawstyle, **style)
    if line.edge is not None:
        across = axes.get_yaxis_transform()
        axes.plot([0, 0.04], [line.edge] * 2, color=line.colour, lw=2, transform=across, zorder=3)


def _draw_gaps(axes: Axes, line: Line) -> Line:
    """Dot the long gaps, and break the line there."""
    at = np.flatnonzero(long_gaps(line.x))
    for k in at:
        axes.plot(line.x[k : k + 2], line.y[k : k + 2], ":", color=line.colour, lw=0.7, alpha=0.7)
    return broken_at(line, at)


def _draw_level(axes: Axes, line: Line, style: Style) -> None:
    axes.axhline(line.y[0], **style)
    if line.error is not None:
        ends = (line.y[0] - line.error[0], line.y[0] + line.error[0])
        axes.axhspan(*ends, color=line.colour, alpha=0.15, lw=0)


def _visible(error: Any) -> Any:
    """Drop bars that have no length."""
    return error if error is not None and np.any(error) else None


class _Powers(LogFormatter):
    """Choose the ticks that have a text as matplotlib does, and write them without markup."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return power_text(x) if super().__call__(x, pos) else ""


def write_powers(axis: XAxis | YAxis) -> None:
    """Write the ticks of a logarithmic axis as texts; matplotlib's own are formulas."""
    axis.set_major_formatter(_Powers())
    axis.set_minor_formatter(_Powers(labelOnlyBase=False))


def _scale(axes: Axes, side: str, axis: Axis) -> None:
    extra = {"linthresh": axis.threshold, "linscale": 1} if axis.scale == "symlog" else {}
    if axis.scale != "linear":
        getattr(axes, f"set_{side}scale")(axis.scale, **extra)
        write_powers(getattr(axes, f"{side}axis"))
    if axis.margin is not None:
        getattr(axes, f"set_{side}margin")(axis.margin)
    if axis.ticks is not None:
        places, texts = axis.ticks
        getattr(axes, f"set_{side}ticks")(places, short_names(texts))
    if axis.bare:
        getattr(axes, f"{side}axis").set_minor_locator(NullLocator())
    if axis.limits is not None:
        getattr(axes, f"set_{side}lim")(*axis.limits)
    if axis.is_reversed:
        getattr(axes, f"invert_{side}axis")()
    if axis.most_ticks is not None or axis.whole:
        locator = MaxNLocator(axis.most_ticks or "auto", integer=axis.whole, steps=_STEPS)
        getattr(axes, f"{side}axis").set_major_locator(locator)
    if axis.round_ticks:
        low, high = getattr(axes, f"get_{side}lim")()
        found = getattr(axes, f"{side}axis")
        found.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
        narrow = high < 100 * low
        found.set_major_formatter("{x:g}" if narrow else FuncFormatter(lambda x, _: power_text(x)))
        found.set_minor_formatter(NullFormatter())
