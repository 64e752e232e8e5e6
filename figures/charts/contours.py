"""Draw filled contours of panels on one scale, for paper and page."""

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from figures.charts.panel import Style
from figures.charts.surface_panels import Scale, SurfacePanel, without_gaps

COLOUR_MAP = "viridis"


def draw_contours(axes: Axes, panel: SurfacePanel, scale: Scale) -> ContourSet:
    """Draw filled contours with thin lines, the checkpoint, and holes hatched.

    Args:
        axes: where to.
        panel: the surface.
        scale: of all panels.
    """
    grid = without_gaps(scale.height(panel.values(scale.quantity)), panel.done)
    x, y = panel.x, panel.y
    if np.isnan(grid).any():
        _hatch(axes, panel)
    masked = np.ma.masked_invalid(grid)
    filled = axes.contourf(
        x, y, masked, scale.levels, cmap=COLOUR_MAP, norm=Normalize(*scale.ends), extend="both"
    )
    filled.set_edgecolor("face")  # closes the seams that viewers leave between levels
    lines: Style = {"colors": "white", "linewidths": 0.35, "alpha": 0.7, "linestyles": "solid"}
    axes.contour(x, y, masked, scale.levels[::3], **lines)
    if not panel.done.all():
        rows, columns = np.nonzero(panel.done)
        axes.plot(x[columns], y[rows], ".", ms=1, color="black", label="computed")
    mark: Style = {
        "marker": "P",
        "ms": 4.5,
        "mec": "black",
        "mfc": "white",
        "mew": 0.7,
        "ls": "none",
    }
    axes.plot(0, 0, label="checkpoint", zorder=6, **mark)
    axes.locator_params(nbins=5, steps=[1, 2, 5, 10])
    axes.set_box_aspect(1)
    return filled


def label_directions(axes: Axes, panel: SurfacePanel, *, x: bool = True, y: bool = True) -> None:
    """Name the directions beside their axes."""
    if x:
        axes.set_xlabel(panel.labels[0], fontsize=6)
    if y:
        axes.set_ylabel(panel.labels[1], fontsize=6)


def add_colour_scale(figure: Figure, places: list[Axes], scale: Scale) -> None:
    """Add the bar that all panels share."""
    shown = ScalarMappable(Normalize(*scale.ends), COLOUR_MAP)
    style: Style = {
        "extend": "both",
        "extendfrac": 0.03,
        "aspect": 35,
        "fraction": 0.06,
        "pad": 0.02,
    }
    bar = figure.colorbar(shown, ax=places, label=scale.label, **style)
    bar.set_ticks(list(scale.height(scale.ticks)), labels=scale.tick_labels)
    bar.minorticks_off()
    bar.outline.set_linewidth(0.5)


def add_contours(
    figure: go.Figure, panel: SurfacePanel, scale: Scale, row: int, column: int
) -> None:
    """Add filled contours and the checkpoint to a page; holes stay grey."""
    levels = scale.levels
    spacing = {"start": levels[0], "end": levels[-1], "size": levels[1] - levels[0]}
    trace = go.Contour(
        x=panel.x,
        y=panel.y,
        z=without_gaps(scale.height(panel.values(scale.quantity)), panel.done),
        text=hover(panel, scale),
        hovertemplate="x %{x:.3g}<br>y %{y:.3g}<br>%{text}<extra></extra>",
        contours=spacing,
        line={"width": 0.4, "color": "rgba(255,255,255,0.6)"},
        coloraxis="coloraxis",
        connectgaps=False,
    )
    figure.add_trace(trace, row, column)
    mark = {"symbol": "cross", "size": 9, "color": "white", "line": {"width": 1, "color": "black"}}
    centre = {"x": [0], "y": [0], "hovertext": "checkpoint", "hoverinfo": "text"}
    figure.add_trace(go.Scatter(mode="markers", marker=mark, **centre), row, column)
    figure.update_xaxes(
        title_text=panel.labels[0], showgrid=False, zeroline=False, row=row, col=column
    )
    figure.update_yaxes(showgrid=False, zeroline=False, row=row, col=column)
    if column == 1:
        figure.update_yaxes(title_text=panel.labels[1], row=row, col=column)


def colour_axis(scale: Scale) -> dict[str, object]:
    """Describe the colour scale of a page."""
    low, high = scale.ends
    ticks = {"tickvals": scale.height(scale.ticks), "ticktext": scale.tick_labels}
    return {
        "cmin": low,
        "cmax": high,
        "colorscale": COLOUR_MAP,
        "colorbar": {"title": scale.label, "thickness": 16, **ticks},
    }


def page_width(columns: int) -> int | None:
    """Choose the pixels that keep few panels about square; None fills the window."""
    return 450 * columns + 220 if columns < 3 else None


def hover(panel: SurfacePanel, scale: Scale) -> list[list[str]]:
    """Word each point (Y, X) for a page."""

    def word(value: float, done: bool) -> str:
        if not done:
            return "not computed yet, drawn from its neighbours"
        return f"{scale.quantity} {value:.4g}"

    values = panel.values(scale.quantity)
    return [
        [word(v, d) for v, d in zip(*row, strict=True)]
        for row in zip(values, panel.done, strict=True)
    ]


def _hatch(axes: Axes, panel: SurfacePanel) -> None:
    """Lay a hatched rectangle below, which shows through holes."""
    x, y = panel.x, panel.y
    style: Style = {"facecolor": "0.93", "edgecolor": "0.6", "hatch": "/////", "lw": 0, "zorder": 0}
    axes.add_patch(Rectangle((x[0], y[0]), x[-1] - x[0], y[-1] - y[0], **style))
