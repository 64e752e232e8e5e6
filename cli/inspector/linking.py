"""Adapt a figure to the page: size, linked axes, marks of the class and epoch in view."""

import html
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from figures.charts.panel import colour

_CLASS = re.compile(r"class (\d+)\b")
_ACCENT = "#d9480f"
_PADDING = 0.04
_LINES = {"nonconvexity", "gradient-similarity", "embedding", "feature-quality"}


def fit_to_page(figure: go.Figure, height: int) -> str:
    """Fit a figure into the page's grid, which sets its width and heading.

    Returns:
        The lines of its title below the first, as plain text.
    """
    title = figure.layout.title.text or ""
    below = " ".join(title.split("<br>")[1:])
    caption = html.unescape(re.sub(r"<[^>]*>", " ", below)).strip()
    annotations = [a.text or "" for a in figure.layout.annotations if a.yref == "paper"]
    lines = max((text.count("<br>") + 1 for text in annotations), default=0)
    figure.update_layout(
        title=None,
        width=None,
        autosize=True,
        height=height + 14 * lines,
        margin={"l": 58, "r": 16, "t": 26 + 15 * lines, "b": 52},
        template="plotly_white",
        font={"family": "system-ui, sans-serif", "size": 12},
        hoverlabel={"namelength": -1},
        legend_font_size=11,
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
    )
    for annotation in figure.layout.annotations:
        annotation.update(text=re.sub("</?sup>", "", annotation.text or ""), font_size=11)
    if "coloraxis2" in figure.layout:  # the distance off the plane, below
        figure.update_layout(margin_b=110)
        bar = {"y": -0.2, "thickness": 10, "len": 0.8, "title_side": "top"}
        figure.layout.coloraxis2.colorbar.update(bar)
    return caption


def colour_runs(figure: go.Figure, places: Sequence[int]) -> go.Figure:
    """Give each run of a figure the colour of its place in the view.

    Args:
        figure: in which the k-th run has the k-th colour.
        places: of its runs, in their order.
    """
    wanted = {colour(k): colour(place) for k, place in enumerate(places)}
    if all(own == other for own, other in wanted.items()):
        return figure
    text = re.sub("|".join(wanted), lambda found: wanted[found[0]], figure.to_json())
    return go.Figure(json.loads(text))


def mark_class(figure: go.Figure, panel: str, number: int) -> None:
    """Highlight one class: its curve or points, its row and column, or its position on an axis."""
    if panel == "accuracy" and number < len(figure.data[0].x):
        band = {"fillcolor": _ACCENT, "opacity": 0.18, "line_width": 0, "layer": "below"}
        ends = {"x0": number - 0.4, "x1": number + 0.4, "y0": 0, "y1": 1}
        figure.add_shape(type="rect", xref="x", yref="y domain", **ends, **band)
    for trace in figure.data:
        if trace.type == "heatmap":
            _frame_class(figure, trace, number)
        elif panel in _LINES:
            found = _CLASS.match(trace.name or "")
            if found and int(found[1]) == number:
                trace.update(opacity=1)
                if "lines" in (trace.mode or ""):
                    trace.update(line_width=4)
                else:
                    trace.update(marker={"size": 9, "line": {"width": 1, "color": "black"}})
            elif found:
                trace.update(opacity=0.2)


def mark_epoch(figure: go.Figure, epoch: int) -> None:
    """Mark the epoch in view on an axis of epochs."""
    figure.add_vline(epoch, line={"color": _ACCENT, "width": 1.5, "dash": "dash"})


def link_axes(figures: Sequence[go.Figure]) -> None:
    """Give the figures of several runs the same axes and colours."""
    if len(figures) < 2:
        return
    names = {axis for f in figures for axis in f.layout if re.fullmatch(r"[xy]axis\d*", axis)}
    for axis in sorted(names):
        if not all(axis in figure.layout and _is_free(figure, axis) for figure in figures):
            continue
        ends = [end for figure in figures for end in _extent(figure, axis)]
        if len(ends) < 2:
            continue
        low, high = min(ends), max(ends)
        pad = _PADDING * (high - low) if not _is_filled(figures) else 0
        for figure in figures:
            figure.layout[axis].update(range=[low - pad, high + pad], autorange=False)
    _link_colours(figures)


def _link_colours(figures: Sequence[go.Figure]) -> None:
    for name in ("coloraxis", "coloraxis2"):
        scales = [figure.layout[name] for figure in figures if name in figure.layout]
        if len(scales) < len(figures) or any(scale.cmin is None for scale in scales):
            continue
        low, high = min(s.cmin for s in scales), max(s.cmax for s in scales)
        widest = max(scales, key=lambda scale: scale.cmax - scale.cmin)
        ticks = {"tickvals": widest.colorbar.tickvals, "ticktext": widest.colorbar.ticktext}
        for scale in scales:
            scale.update(cmin=low, cmax=high)
            scale.colorbar.update(ticks)
    contours = [t for f in figures for t in f.data if t.type == "contour"]
    if contours:
        low = min(t.contours.start for t in contours)
        high = max(t.contours.end for t in contours)
        for trace in contours:
            trace.contours.update(start=low, end=high, size=(high - low) / 24)


def _is_free(figure: go.Figure, axis: str) -> bool:
    """Tell whether an axis has neither a fixed range nor categories."""
    layout = figure.layout[axis]
    return layout.range is None and layout.autorange is None and layout.type != "category"


def _is_filled(figures: Sequence[go.Figure]) -> bool:
    return all(any(trace.type == "contour" for trace in figure.data) for figure in figures)


def _extent(figure: go.Figure, axis: str) -> list[float]:
    """Find the least and greatest value drawn along an axis, in its scale; none for texts."""
    side, number = axis[0], axis[5:]
    ends: list[float] = []
    for trace in figure.data:
        if not hasattr(trace, f"{side}axis") or (trace[f"{side}axis"] or side) != side + number:
            continue
        values = _numbers(trace[side])
        error = trace.error_y.array if side == "y" and "error_y" in trace else None
        if error is not None and len(error) == len(values):
            spread = np.nan_to_num(_numbers(error))
            values = np.concatenate([values - spread, values + spread])
        if figure.layout[axis].type == "log":
            values = np.log10(values[values > 0])
        values = values[np.isfinite(values)]
        if values.size:
            ends += [float(values.min()), float(values.max())]
    return ends


def _numbers(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        return np.asarray([] if values is None else values, dtype=np.float64)
    except (TypeError, ValueError):
        return np.zeros(0)


def _frame_class(figure: go.Figure, trace: go.Heatmap, number: int) -> None:
    found = [_CLASS.match(str(name)) for name in trace.y]
    at = [k for k, match in enumerate(found) if match and int(match[1]) == number]
    style = {"type": "rect", "line": {"color": _ACCENT, "width": 2}}
    style |= {"xref": trace.xaxis or "x", "yref": trace.yaxis or "y"}
    low, high = -0.5, len(found) - 0.5
    for k in at:
        figure.add_shape(x0=low, x1=high, y0=k - 0.5, y1=k + 0.5, **style)
        figure.add_shape(x0=k - 0.5, x1=k + 0.5, y0=low, y1=high, **style)
