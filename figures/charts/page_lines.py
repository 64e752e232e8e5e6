"""Draw panels of lines with plotly."""

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go

from figures.charts.names import short_names
from figures.charts.panel import (
    POWERS,
    Axis,
    Line,
    Panel,
    Style,
    broken_at,
    has_room_left,
    long_gaps,
)
from figures.charts.scales import symlog
from landscape.results.fields import Array


def add_panel(figure: go.Figure, panel: Panel, row: int, column: int) -> None:
    """Add the lines, scales and marks of a panel; the first panel makes the legend."""
    place = {"row": row, "col": column}
    for line in panel.lines:
        for trace in _line_traces(_placed(line, panel), shown=row == column == 1):
            figure.add_trace(trace, **place)
    if panel.level:  # a page has a line at 0 of its own
        figure.add_hline(panel.level, line={"color": "#999999", "width": 1}, **place)
    if panel.reweighting is not None:
        side = "left" if has_room_left(panel, panel.reweighting) else "right"
        words = {"annotation_text": "re-weighting", "annotation_position": f"top {side}"}
        words = words if panel.names_reweighting else {}
        figure.add_vline(panel.reweighting, line_dash="dot", **words, **place)
    if panel.caption:
        _add_caption(figure, panel.caption, row, column)
    figure.update_xaxes(**_layout(panel.x), **place)
    figure.update_yaxes(**_layout(panel.y), **place)


def _placed(line: Line, panel: Panel) -> Line:
    """Move a line's points to where the panel's scales have them; hovering tells their values."""
    if "symlog" not in (panel.x.scale, panel.y.scale):
        return line
    hover = line.hover or "%{x:.4g}, %{y:.4g}"
    x, x_error, _ = _on_scale(panel.x, line.x, line.x_error, None)
    y, error, band = _on_scale(panel.y, line.y, line.error, line.band)
    for k, (side, axis) in enumerate((("x", panel.x), ("y", panel.y))):
        if axis.scale == "symlog":
            hover = hover.replace(f"%{{{side}", f"%{{customdata[{k}]")
    true = np.stack([line.x, line.y], axis=1)
    moved: Style = {"x": x, "y": y, "x_error": x_error, "error": error, "band": band}
    return replace(line, **moved, hover=hover, customdata=true)


def _on_scale(
    axis: Axis, values: Array, error: Array | None, band: tuple[Array, Array] | None
) -> tuple[Array, Array | None, tuple[Array, Array] | None]:
    if axis.scale != "symlog":
        return values, error, band
    middle = symlog(values, axis.threshold)
    if error is not None:
        below, above = np.broadcast_to(error, (2, len(values)))
        low, high = (symlog(v, axis.threshold) for v in (values - below, values + above))
        error = np.stack([middle - low, high - middle])
    if band is not None:
        band = (symlog(band[0], axis.threshold), symlog(band[1], axis.threshold))
    return middle, error, band


def _line_traces(line: Line, *, shown: bool) -> list[go.Scatter]:
    """Draw a line; its long gaps are dotted."""
    gaps = np.flatnonzero(long_gaps(line.x)) if line.sparse else np.zeros(0, int)
    if not gaps.size:
        return _traces(line, shown=shown)
    ends = np.stack([gaps, gaps + 1, gaps + 1], axis=1).ravel()
    x, y = line.x[ends].astype(np.float64), line.y[ends].copy()
    y[2::3] = np.nan
    dotted = go.Scatter(x=x, y=y, mode="lines", legendgroup=line.label, hoverinfo="skip")
    look: Style = {"color": line.colour, "dash": "dot", "width": 1}
    dotted.update(line=look, showlegend=False)
    return [*_traces(broken_at(line, gaps), shown=shown), dotted]


def _traces(line: Line, *, shown: bool) -> list[go.Scatter]:
    look: Style = {"color": line.colour, "dash": line.dash, "shape": "hv" if line.steps else None}
    points = "markers" if line.marker else ""
    mode = "+".join(filter(None, ("lines" if line.joined else "", points)))
    trace = go.Scatter(x=line.x, y=line.y, name=line.label, legendgroup=line.label, mode=mode)
    trace.update(line=look | {"width": line.page_width}, showlegend=shown and line.key != "none")
    trace.update(hovertemplate=line.hover, customdata=line.customdata)
    if line.marker is not None:
        trace.update(marker={"symbol": line.marker[1], "color": line.colour})
    for name, error in (("error_y", line.error), ("error_x", line.x_error)):
        if error is not None:
            trace.update({name: _bars(error) | {"type": "data", "thickness": 1}})
    return [trace] if line.band is None else [_band(line, *line.band), trace]


def _bars(error: Array) -> Style:
    if error.ndim == 1:
        return {"array": error}
    return {"array": error[1], "arrayminus": error[0], "symmetric": False}


def _band(line: Line, low: Array, high: Array) -> go.Scatter:
    known = np.isfinite(low) & np.isfinite(high)
    around = np.concatenate([line.x[known], line.x[known][::-1]])
    edge = np.concatenate([high[known], low[known][::-1]])
    filled: Style = {"fill": "toself", "fillcolor": line.colour, "opacity": line.shade[1]}
    filled |= {"line": {"width": 0}, "mode": "lines", "hoverinfo": "skip", "showlegend": False}
    return go.Scatter(x=around, y=edge, legendgroup=line.label, **filled)


def _layout(axis: Axis) -> Style:
    found: Style = dict(POWERS)  # not 150n and 10k
    if axis.label or axis.page_label:
        found["title_text"] = (axis.page_label or axis.label).replace("\n", "<br>")
    if axis.scale == "log":
        found["type"] = "log"
    if axis.is_reversed:
        found["autorange"] = "reversed"
    if axis.ticks is not None:
        places = np.asarray(axis.ticks[0], dtype=np.float64)
        places = symlog(places, axis.threshold) if axis.scale == "symlog" else places
        found |= {"tickvals": places.tolist(), "ticktext": short_names(axis.ticks[1])}
    if axis.scale == "symlog" and axis.limits is not None and None not in axis.limits:
        found["range"] = symlog(np.array(axis.limits), axis.threshold).tolist()
    return found | axis.page


def _add_caption(figure: go.Figure, caption: str, row: int, column: int) -> None:
    # translucent, as a symmetric spectrum peaks behind the text
    style: Style = {"align": "right", "showarrow": False, "bgcolor": "rgba(255,255,255,0.75)"}
    style |= {"xref": "x domain", "yref": "y domain", "x": 1, "y": 1}
    figure.add_annotation(text=caption.replace("\n", "<br>"), row=row, col=column, **style)
