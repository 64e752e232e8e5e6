"""Draw the loss surface around a checkpoint: rows are runs, columns scopes, on one scale.

Filled contours, or a relief (``view=3d``), of the loss or the accuracy (``quantity=accuracy``), of
what training descends (``quantity=objective``), or of this beside the loss (``quantity=both``).
Surfaces of one direction are drawn as lines, the loss solid and the accuracy dashed.
"""

import re
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import Axes3D

from figures.charts.contours import (
    COLOUR_MAP,
    add_colour_scale,
    add_contours,
    colour_axis,
    draw_contours,
    hover,
    label_directions,
    page_width,
    panel_shape,
)
from figures.charts.grid import page_grid, paper_grid
from figures.charts.surface_lines import draw_lines, page_lines
from figures.charts.surface_panels import (
    QUANTITIES,
    Scale,
    SurfacePanel,
    shared_scale,
    surface_panels,
    without_gaps,
)
from figures.charts.vtk import rectilinear_grid
from figures.output import COLOURS, COLUMN, PAGE, Drawing
from figures.request import Request
from landscape.results import InputError
from landscape.results.fields import Array

_VIEWS = ("contour", "3d")
_STEM = COLOURS[1]


@dataclass(frozen=True)
class SurfaceFigure(Drawing):
    """Surfaces of two directions, a row a run."""

    rows: list[list[SurfacePanel]]
    view: str  # contour or 3d
    quantity: str  # loss or accuracy
    scale: Scale  # that all panels share

    @property
    def panels(self) -> list[SurfacePanel]:
        """The panels, row by row."""
        return [panel for row in self.rows for panel in row]

    def draw(self) -> Figure:
        """Draw the figure for paper, page width, or column width for one panel a row."""
        scale, last = self.scale, len(self.rows) - 1
        figure, axes = self._paper_grid()
        for r, (places, row) in enumerate(zip(axes, self.rows, strict=True)):
            for c, (place, panel) in enumerate(zip(places, row, strict=True)):
                place.set_title(panel.title(self.quantity), fontsize=6, linespacing=1.3)
                if isinstance(place, Axes3D):
                    _draw_relief(place, panel, scale)
                    continue
                draw_contours(place, panel, scale)
                label_directions(place, panel, x=r == last, y=c == 0)
        if self.view == "3d":
            figure.supxlabel(", ".join(dict.fromkeys(self.rows[0][0].labels)), fontsize=6)
        add_colour_scale(figure, [place for places in axes for place in places], scale)
        return figure

    def page(self) -> go.Figure:
        """Build the interactive page."""
        scale, columns = self.scale, len(self.rows[0])
        titles = [panel.title(self.quantity).replace("\n", "<br>") for panel in self.panels]
        kind = "scene" if self.view == "3d" else "xy"
        head = 40 + 16 * max(title.count("<br>") for title in titles)  # pixels above a panel
        height = 400 * len(self.rows) + head + 80
        figure = page_grid(
            self.rows,
            titles,
            specs=[[{"type": kind} for _ in row] for row in self.rows],
            vertical_spacing=(head + 55) / height,
            horizontal_spacing=0.05,
        )
        add = _add_relief if self.view == "3d" else add_contours
        for r, row in enumerate(self.rows, 1):
            for c, panel in enumerate(row, 1):
                add(figure, panel, scale, r, c)
        figure.update_annotations(font_size=12)
        figure.update_layout(coloraxis=colour_axis(scale), plot_bgcolor="#dddddd", showlegend=False)
        margin = {"t": head + 60, "b": 60}
        figure.update_layout(width=page_width(columns), height=height, margin=margin)
        return figure.update_layout(title=f"{self.quantity.capitalize()} around the checkpoint")

    def tables(self) -> dict[str, str]:
        """Write the loss and the accuracy of every scope as VTK files, one a run."""
        fields: dict[str, dict[str, Array]] = {}
        firsts = {row[0].run: row[0] for row in self.rows}
        for panel in self.panels:
            own = fields.setdefault(panel.run, {})
            own |= {f"{panel.scope} loss": panel.loss, f"{panel.scope} accuracy %": panel.accuracy}
        found = {}
        for run, first in firsts.items():
            about = f"{run}, {', '.join(first.labels)}"
            text = rectilinear_grid(about, first.x, first.y, fields[run])
            found["vtk" if len(firsts) == 1 else f"{_slug(run)}.vtk"] = text
        return found

    def _paper_grid(self) -> tuple[Figure, list[list[Axes]]]:
        """Lay out square panels; they share axes where their grids agree."""
        columns = len(self.rows[0])
        width = PAGE if columns > 1 else COLUMN
        side = (width - 1.1) / columns - 0.1
        lines = max(panel.title(self.quantity).count("\n") for panel in self.panels) + 1
        tall = 1.0 if self.view == "3d" else max(panel_shape(panel) for panel in self.panels)
        size = (width, (side * tall + 0.12 * lines + 0.1) * len(self.rows) + 0.35)
        if self.view == "3d":
            relief = {"projection": "3d", "computed_zorder": False}
            return paper_grid(self.rows, size, subplot_kw=relief)
        x, y = self.panels[0].x, self.panels[0].y
        same = all(np.array_equal(p.x, x) and np.array_equal(p.y, y) for p in self.panels)
        return paper_grid(self.rows, size, sharex=same, sharey=same)


@dataclass(frozen=True)
class SurfaceLines(Drawing):
    """Surfaces of one direction, a panel a run."""

    rows: list[list[SurfacePanel]]

    def draw(self) -> Figure:
        """Draw the figure for paper."""
        return draw_lines(self.rows)

    def page(self) -> go.Figure:
        """Build the interactive page."""
        return page_lines(self.rows)


def read(request: Request) -> Drawing:
    """Read the surfaces of every run.

    Raises:
        InputError: see :func:`figures.charts.surface_panels.surface_panels`; or a relief of lines
            is asked for.
    """
    view, quantity = request.option("view", _VIEWS), request.option("quantity", QUANTITIES)
    rows = surface_panels(request, quantity)
    if not rows[0][0].is_line:
        every = [surface_panels(one, quantity) for one in request.scaling()] or [rows]
        panels = [panel for found in every for row in found for panel in row]
        drawn = "accuracy" if quantity == "accuracy" else "loss"
        return SurfaceFigure(rows, view, drawn, shared_scale(panels, drawn))
    if view == "3d":
        raise InputError("these surfaces have one direction; view=3d needs --surface.dimensions 2")
    return SurfaceLines(rows)


def _slug(run: str) -> str:
    """Make a run's name a part of a file's name."""
    return re.sub(r"[^\w+.-]+", "-", run)


def _draw_relief(axes: Axes3D, panel: SurfacePanel, scale: Scale) -> None:
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


def _add_relief(
    figure: go.Figure, panel: SurfacePanel, scale: Scale, row: int, column: int
) -> None:
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


def _stem(panel: SurfacePanel, grid: Array, scale: Scale) -> list[float]:
    """Span the heights from the surface at the checkpoint up to the end of the scale."""
    low, high = scale.ends
    centre = grid[np.ix_(panel.y == 0, panel.x == 0)].ravel()
    known = centre.size == 1 and np.isfinite(centre[0])
    return [float(centre[0].clip(low, high)) if known else low, high]
