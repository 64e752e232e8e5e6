"""One line a class over training, coloured from head to tail, one panel a run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from figures.charts.grid import grid_shape, mark_reweighting, page_grid, panel_grid
from figures.output import MARKERS
from figures.request import Request
from figures.runs.history import history
from figures.runs.labels import run_labels, scope_label
from landscape.results import InputError, unknown
from landscape.results.gradients import Gradients

Array = NDArray[Any]
MOST_NAMED = 20  # classes; more are told by a colour scale


@dataclass(frozen=True)
class Panel:
    """A quantity of each class of one run."""

    run: str
    epochs: Array  # (T,)
    labels: list[str]  # (C,) classes shown, head to tail
    colours: list[str]  # (C,)
    values: Array  # (C, T) NaN for a class without samples
    reweighting: int | None  # epoch


def head_to_tail(counts: Array) -> list[int]:
    """Order classes by their training samples (K,), most first."""
    return [int(c) for c in np.argsort(-counts, kind="stable")]


def class_colours(classes: int) -> list[str]:
    """Colours from dark (head) to light (tail), told apart in grey."""
    return [to_hex(colormaps["viridis"](x)) for x in np.linspace(0, 0.9, classes)]


def class_panels(request: Request, quantity: Callable[[Gradients], Array]) -> list[Panel]:
    """Read a quantity of each class over training, of every run.

    Args:
        request: its scopes may name classes, such as ``class/0``; the default is all.
        quantity: from a result to the quantity (K,).

    Raises:
        InputError: a run has no gradients, a scope is no class, or the runs' classes differ.
    """
    loaded = [history(run, Gradients) for run in request.runs]
    names = run_labels([origins[-1] for _, _, origins in loaded], request.runs)
    found = []
    for name, (epochs, records, origins) in zip(names, loaded, strict=True):
        config, order = origins[-1].config, head_to_tail(records[-1].training_count)
        colours, shown = class_colours(len(order)), _shown(request.scopes, order)
        labels = [scope_label(f"class/{c}", config) for c in shown]
        values = np.stack([quantity(record)[shown] for record in records], axis=1)
        begins = config["plan"]["reweighting_epoch"]
        chosen = [colours[order.index(c)] for c in shown]
        found.append(Panel(name, epochs, labels, chosen, values, begins))
    if len({tuple(panel.labels) for panel in found}) > 1:
        raise InputError("these runs have different classes; draw them one by one")
    return found


def draw_lines(found: list[Panel], label: str, *, level: float, log: bool = False) -> Figure:
    """Draw one line a class, one panel a run.

    Args:
        found: the runs.
        label: of the vertical axis.
        level: height of a thin line to read the values against.
        log: make the vertical axis logarithmic.
    """
    figure, places = panel_grid(len(found), 2.1)
    named = len(found[0].labels) <= MOST_NAMED
    for axes, panel in zip(places, found, strict=True):
        axes.axhline(level, color="0.6", lw=0.6, zorder=0)
        for k, (name, colour) in enumerate(zip(panel.labels, panel.colours, strict=True)):
            (line,) = axes.plot(panel.epochs, panel.values[k], label=name, color=colour, lw=0.9)
            if named:
                line.set(marker=MARKERS[k % len(MARKERS)], markevery=-(-len(panel.epochs) // 12))
        axes.set_title(panel.run)
        axes.set_xlabel("epoch")
        axes.margins(y=0.1)
        mark_reweighting(axes, panel.reweighting)
        if log:
            _scale_logarithmically(axes)
    for axes in places[:: grid_shape(len(found))[1]]:
        axes.set_ylabel(label)
    add_class_key(figure, places, found[0].labels)
    return figure


def add_class_key(
    figure: Figure, places: list[Axes], labels: list[str], *, enlarged: float = 1
) -> None:
    """Tell the classes' colours by a legend below, or by a scale where there are many.

    Args:
        figure: the figure.
        places: its panels; the legend is that of the first.
        labels: of the classes.
        enlarged: size of the legend's markers, relative to the panels'.
    """
    if len(labels) > MOST_NAMED:
        scale = ScalarMappable(cmap=ListedColormap(class_colours(256)))
        bar = figure.colorbar(scale, ax=places, ticks=[0, 1], aspect=30, pad=0.01)
        bar.ax.set_yticklabels(["head", "tail"])
        bar.outline.set_visible(False)
        return
    handles, names = places[0].get_legend_handles_labels()
    most = int(figure.get_figwidth() / (0.055 * max(map(len, names)) + 0.45))
    rows = -(-len(names) // max(most, 1))
    columns = -(-len(names) // rows)
    figure.legend(handles, names, loc="outside lower center", ncols=columns, markerscale=enlarged)


def page_lines(found: list[Panel], label: str, title: str, *, log: bool = False) -> go.Figure:
    """Build the page of :func:`draw_lines`."""
    figure = page_grid([panel.run for panel in found])
    columns = grid_shape(len(found))[1]
    for at, panel in enumerate(found):
        place = {"row": at // columns + 1, "col": at % columns + 1}
        for k, (name, colour) in enumerate(zip(panel.labels, panel.colours, strict=True)):
            trace = go.Scatter(x=panel.epochs, y=panel.values[k], mode="lines+markers", name=name)
            trace.update(legendgroup=name, showlegend=at == 0, hovertemplate="epoch %{x}: %{y:.3g}")
            trace.update(line={"color": colour}, marker={"symbol": k % 8})
            figure.add_trace(trace, **place)
        if panel.reweighting is not None:
            figure.add_vline(
                panel.reweighting, line_dash="dot", annotation_text="re-weighting", **place
            )
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text=label, col=1)
    if log:
        figure.update_yaxes(type="log", exponentformat="power")
    return figure.update_layout(title=title)


def _scale_logarithmically(axes: Axes) -> None:
    """Label 0.5, 1, 2, 5 over a narrow range and decades over a wide one."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _shown(scopes: tuple[str, ...], order: list[int]) -> list[int]:
    known = {f"class/{c}": c for c in order}
    for scope in scopes:
        if scope not in known and scope != "classes":
            raise unknown("scope of a figure of single classes", scope, [*known, "classes"])
    asked = {known[scope] for scope in scopes if scope in known}
    return [c for c in order if not scopes or "classes" in scopes or c in asked]
