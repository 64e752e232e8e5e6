"""Loss surface around a checkpoint: rows are runs, columns scopes, all on one colour scale.

Filled contours, or a relief (``view=3d``), of the loss or the accuracy (``quantity=accuracy``).
Surfaces of one direction are drawn as lines, the loss solid and the accuracy dashed.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import Axes3D
from plotly.subplots import make_subplots

from figures.charts import surface_lines
from figures.charts.contours import (
    COLOUR_MAP,
    add_colour_scale,
    add_contours,
    colour_axis,
    draw_contours,
    hover,
    label_directions,
    page_width,
)
from figures.charts.surface_panels import (
    QUANTITIES,
    Array,
    Panel,
    Scale,
    panels,
    shared_scale,
    without_gaps,
)
from figures.output import COLOURS, PAGE, paper_style, write_figure
from figures.request import Request
from landscape.results import InputError

_COLUMN = 3.25  # inches
_VIEWS = ("contour", "3d")
_STEM = COLOURS[1]


def draw(request: Request) -> Figure:
    """Draw the figure for paper, page width, or column width for one panel a row.

    Raises:
        InputError: see :func:`figures.charts.surface_panels.panels`; or a relief of lines is asked
            for.
    """
    rows, view, quantity = _read(request)
    if rows[0][0].is_line:
        return surface_lines.draw(rows)
    scale = shared_scale([panel for row in rows for panel in row], quantity)
    figure, axes = _grid(rows, view, quantity)
    for r, row in enumerate(rows):
        for c, panel in enumerate(row):
            place = axes[r, c]
            place.set_title(panel.title(quantity), fontsize=6, linespacing=1.3)
            if isinstance(place, Axes3D):
                _draw_relief(place, panel, scale)
                continue
            draw_contours(place, panel, scale)
            label_directions(place, panel, x=r == len(rows) - 1, y=c == 0)
    if view == "3d":
        figure.supxlabel(", ".join(dict.fromkeys(rows[0][0].labels)), fontsize=6)
    add_colour_scale(figure, list(axes.flat), scale)
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page.

    Raises:
        InputError: see :func:`draw`.
    """
    rows, view, quantity = _read(request)
    if rows[0][0].is_line:
        return surface_lines.page(rows)
    found = [panel for row in rows for panel in row]
    scale = shared_scale(found, quantity)
    titles = [panel.title(quantity).replace("\n", "<br>") for panel in found]
    kind = {"type": "scene" if view == "3d" else "xy"}
    head = 40 + 16 * max(title.count("<br>") for title in titles)  # pixels above a panel
    height = 400 * len(rows) + head + 80
    figure = make_subplots(
        len(rows),
        len(rows[0]),
        subplot_titles=titles,
        specs=[[dict(kind) for _ in row] for row in rows],
        vertical_spacing=(head + 55) / height,
        horizontal_spacing=0.05,
    )
    for r, row in enumerate(rows, 1):
        for c, panel in enumerate(row, 1):
            if view == "3d":
                _add_relief(figure, panel, scale, r, c)
            else:
                add_contours(figure, panel, scale, r, c)
    figure.update_annotations(font_size=12)
    figure.update_layout(coloraxis=colour_axis(scale), plot_bgcolor="#dddddd", showlegend=False)
    figure.update_layout(
        width=page_width(len(rows[0])), height=height, margin={"t": head + 60, "b": 60}
    )
    return figure.update_layout(title=f"{quantity.capitalize()} around the checkpoint")


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "surface", folder)


def _read(request: Request) -> tuple[list[list[Panel]], str, str]:
    view, quantity = request.option("view", _VIEWS), request.option("quantity", QUANTITIES)
    rows = panels(request)
    if rows[0][0].is_line and view == "3d":
        raise InputError("these surfaces have one direction; view=3d needs --surface.dimensions 2")
    return rows, view, quantity


def _grid(rows: list[list[Panel]], view: str, quantity: str) -> tuple[Figure, Array]:
    """Lay out square panels; they share axes where their grids agree."""
    columns = len(rows[0])
    width = PAGE if columns > 1 else _COLUMN
    side = (width - 1.1) / columns - 0.1
    lines = max(p.title(quantity).count("\n") for row in rows for p in row) + 1
    first = rows[0][0]
    same = all(
        np.array_equal(p.x, first.x) and np.array_equal(p.y, first.y) for r in rows for p in r
    )
    relief = view == "3d"
    return plt.subplots(
        len(rows),
        columns,
        figsize=(width, (side + 0.12 * lines + 0.1) * len(rows) + 0.35),
        squeeze=False,
        sharex=same and not relief,
        sharey=same and not relief,
        subplot_kw={"projection": "3d", "computed_zorder": False} if relief else None,
    )


def _draw_relief(axes: Axes3D, panel: Panel, scale: Scale) -> None:
    """Draw a surface cut off at the ends of the scale; the checkpoint on a stem."""
    low, high = scale.ends
    grid = np.clip(without_gaps(scale.height(panel.values(scale.quantity)), panel.done), low, high)
    X, Y = np.meshgrid(panel.x, panel.y)
    style = {"linewidth": 0.1, "edgecolor": (0, 0, 0, 0.35), "rcount": 60, "ccount": 60}
    axes.plot_surface(X, Y, grid, cmap=COLOUR_MAP, norm=Normalize(low, high), **style)
    style = {"color": _STEM, "lw": 0.9, "zorder": 5, "label": "checkpoint"}
    axes.plot([0, 0], [0, 0], _stem(panel, grid, scale), **style)
    axes.set_zlim(low, high)
    axes.set_zticks(scale.height(scale.ticks), scale.tick_labels)
    for axis, label in ((axes.xaxis, panel.labels[0]), (axes.yaxis, panel.labels[1])):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 5, 10]))
        axis.set_label_text(label.partition(" (")[0], fontsize=5)
        axis.labelpad = -9
    axes.tick_params(labelsize=5, pad=-4)
    axes.set_box_aspect((1, 1, 0.8), zoom=0.95)
    axes.view_init(elev=32, azim=-55)


def _add_relief(figure: go.Figure, panel: Panel, scale: Scale, row: int, column: int) -> None:
    low, high = scale.ends
    grid = without_gaps(scale.height(panel.values(scale.quantity)), panel.done)
    trace = go.Surface(
        x=panel.x,
        y=panel.y,
        z=np.clip(grid, low, high),
        text=hover(panel, scale),
        hovertemplate="x %{x:.3g}<br>y %{y:.3g}<br>%{text}<extra></extra>",
        coloraxis="coloraxis",
        connectgaps=False,
    )
    centre = {"x": [0, 0], "y": [0, 0], "z": _stem(panel, grid, scale)}
    line = {"line": {"color": _STEM, "width": 5}, "hovertext": "checkpoint", "hoverinfo": "text"}
    figure.add_trace(trace, row, column)
    figure.add_trace(go.Scatter3d(mode="lines", **centre, **line), row, column)
    first, second = (
        {"title": {"text": label.partition(" (")[0], "font": {"size": 11}}, "nticks": 5}
        for label in panel.labels
    )
    ticks = {"tickvals": scale.height(scale.ticks), "ticktext": scale.tick_labels}
    scene = {
        "xaxis": first,
        "yaxis": second,
        "zaxis": {"title": {"text": ""}, "range": [low, high], **ticks},
        "aspectmode": "cube",
        "camera": {"eye": {"x": 1.7, "y": -1.9, "z": 1.2}, "center": {"x": 0, "y": 0, "z": -0.15}},
    }
    figure.update_scenes(scene, row=row, col=column)


def _stem(panel: Panel, grid: Array, scale: Scale) -> list[float]:
    """Heights from the surface at the checkpoint up to the end of the scale."""
    low, high = scale.ends
    centre = grid[np.ix_(panel.y == 0, panel.x == 0)].ravel()
    known = centre.size == 1 and np.isfinite(centre[0])
    return [float(centre[0].clip(low, high)) if known else low, high]
