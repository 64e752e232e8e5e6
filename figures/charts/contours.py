"""Draw filled contours of panels on one scale, for paper and page."""

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from figures.charts.panel import Style
from figures.charts.surface_panels import Scale, SurfacePanel, without_gaps
from landscape.results.fields import Array

COLOUR_MAP = "viridis"
_LONGEST = 2.0  # side of a panel over the other


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
    _label_contours(axes, panel, masked, scale)
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
    best = panel.best(scale.quantity)
    if best is not None and best[:2] != (0, 0):
        ring: Style = {"marker": "o", "ms": 4.5, "mec": "white", "mfc": "none", "mew": 0.9}
        ring["path_effects"] = [withStroke(linewidth=2, foreground="black")]
        axes.plot(*best[:2], label="best", zorder=5, ls="none", **ring)
    axes.locator_params(nbins=5, steps=[1, 2, 5, 10])
    set_aspect(axes, panel)
    return filled


def set_aspect(axes: Axes, panel: SurfacePanel) -> None:
    """Give both directions one scale of lengths, so that circles are round.

    Beyond :data:`_LONGEST` the shorter side is stretched, and its label says so.
    """
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    true = panel.ratio * (top - bottom) / (right - left)
    axes.set_box_aspect(float(np.clip(true, 1 / _LONGEST, _LONGEST)))


def panel_shape(panel: SurfacePanel) -> float:
    """Compute the height of a panel over its width, see :func:`set_aspect`."""
    true = panel.ratio * np.ptp(panel.y) / np.ptp(panel.x)
    return float(np.clip(true, 1 / _LONGEST, _LONGEST))


def stretch_note(panel: SurfacePanel, side: int) -> str:
    """Say by how much a direction is drawn longer than it is; empty where it is not."""
    spans = np.ptp(panel.x), np.ptp(panel.y)
    true = panel.ratio * spans[1] / spans[0]
    factor = 1 / (_LONGEST * true) if side else true / _LONGEST
    return f"\ndrawn {factor:.2g} times longer" if factor > 1.05 else ""


def _label_contours(axes: Axes, panel: SurfacePanel, values: Array, scale: Scale) -> None:
    """Draw lines at the ticks of the colour scale that the panel reaches, and name them."""
    finite = values[np.isfinite(values)]
    pairs = zip(scale.height(scale.ticks), scale.tick_labels, strict=True)
    named = {h: text for h, text in pairs if finite.size and finite.min() < h < finite.max()}
    if not named:
        return
    style: Style = {"colors": "white", "linewidths": 0.5, "linestyles": "solid"}
    lines = axes.contour(panel.x, panel.y, values, list(named), **style)
    for text in axes.clabel(lines, fmt=named, fontsize=5, inline_spacing=1, colors="black"):
        text.set_path_effects([withStroke(linewidth=1.2, foreground="white")])


def label_directions(axes: Axes, panel: SurfacePanel, *, x: bool = True, y: bool = True) -> None:
    """Name the directions beside their axes."""
    if x:
        axes.set_xlabel(panel.labels[0] + stretch_note(panel, 0), fontsize=6)
    if y:
        label = panel.labels[1].replace(" (", "\n(") + stretch_note(panel, 1)
        axes.set_ylabel(label, fontsize=6)


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
        line={"width": 0.5, "color": "rgba(255,255,255,0.6)"},
        coloraxis="coloraxis",
        connectgaps=False,
    )
    figure.add_trace(trace, row, column)
    for label, (x, y), symbol in _marks(panel, scale):
        figure.add_trace(_mark(label, x, y, symbol), row, column)
    anchor = figure.get_subplot(row, column).yaxis.anchor
    ratio = panel_shape(panel) * np.ptp(panel.x) / np.ptp(panel.y)
    squared: Style = {"scaleanchor": anchor, "scaleratio": float(ratio), "constrain": "domain"}
    figure.update_yaxes(**squared, row=row, col=column)
    figure.update_xaxes(
        title_text=panel.labels[0], showgrid=False, zeroline=False, row=row, col=column
    )
    figure.update_yaxes(showgrid=False, zeroline=False, row=row, col=column)
    if column == 1:
        figure.update_yaxes(title_text=panel.labels[1], row=row, col=column)


def _marks(panel: SurfacePanel, scale: Scale) -> list[tuple[str, tuple[float, float], str]]:
    """List what is marked on a page: the checkpoint and the best point."""
    found = [("checkpoint", (0.0, 0.0), "cross")]
    best = panel.best(scale.quantity)
    if best is not None and best[:2] != (0, 0):
        said = f"{scale.quantity} {best[2]:.4g}, the best here"
        if scale.quantity == "loss":
            said += f", {panel.basin.distance:.4g} from the checkpoint"
        found.append((said, best[:2], "circle-open"))
    return found


def _mark(label: str, x: float, y: float, symbol: str) -> go.Scatter:
    look = {"symbol": symbol, "size": 9, "color": "white", "line": {"width": 1, "color": "black"}}
    look["line"] = {"width": 2, "color": "white"} if symbol == "circle-open" else look["line"]
    said = {"hovertext": label, "hoverinfo": "text"}
    return go.Scatter(x=[x], y=[y], mode="markers", marker=look, **said)


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
            return "not computed, drawn from its neighbours"
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
