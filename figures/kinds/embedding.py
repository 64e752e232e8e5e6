"""t-SNE of penultimate features, classes coloured head to tail (PLOT's supplement, Fig. 13a, b)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from figures.charts.class_lines import MOST_NAMED, add_class_key, class_colours, head_to_tail
from figures.charts.grid import grid_shape, panel_grid
from figures.output import MARKERS, PAGE, paper_style, write_figure
from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.labels import checkpoint_label, run_labels, scope_label
from landscape.results import InputError
from landscape.results.features import Features
from landscape.results.provenance import Provenance

Array = NDArray[Any]
_SHAPES = (*MARKERS, "<", ">")
_SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "star")
_MARK_SYMBOLS = (*_SYMBOLS, "triangle-left", "triangle-right")


@dataclass(frozen=True)
class Panel:
    """One run; classes in order of their training samples."""

    title: str
    labels: list[str]  # (K,) with training samples
    clouds: list[Array]  # (K,) of (n, 2)


def panels(request: Request) -> list[Panel]:
    """Read the embedding of every run.

    Raises:
        InputError: a run lacks the result, or its features were not embedded.
    """
    loaded = [run.load(Features, request.checkpoint) for run in request.runs]
    names = run_labels([origin for _, origin in loaded], request.runs)
    return [
        _panel(run, name, one, request.checkpoint)
        for run, name, one in zip(request.runs, names, loaded, strict=True)
    ]


def draw(request: Request) -> Figure:
    """Draw the figure for paper: column width for one run, page width for several."""
    found = panels(request)
    width = PAGE if len(found) > 1 else 3.25
    many = len(found[0].labels) > MOST_NAMED
    side = (width - 0.5 * many) / grid_shape(len(found))[1]
    below = 0 if many else 0.6
    figure, places = panel_grid(len(found), side + 0.1, below=below, width=width, sharey=False)
    for axes, panel in zip(places, found, strict=True):
        _draw_panel(axes, panel)
    if many or len({tuple(panel.labels) for panel in found}) == 1:
        add_class_key(figure, places, found[0].labels, enlarged=2)
    else:
        for axes in places:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, markerscale=2)
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    found = panels(request)
    rows, columns = grid_shape(len(found))
    figure = make_subplots(rows, columns, subplot_titles=[panel.title for panel in found])
    for at, panel in enumerate(found):
        place = {"row": at // columns + 1, "col": at % columns + 1}
        figure.update_yaxes(scaleanchor=figure.get_subplot(**place).yaxis.anchor, **place)
        for k, colour in enumerate(class_colours(len(panel.labels))):
            cloud, name = panel.clouds[k], panel.labels[k]
            trace = go.Scattergl(x=cloud[:, 0], y=cloud[:, 1], mode="markers", name=name)
            trace.update(marker={"color": colour, "size": 5, "symbol": _MARK_SYMBOLS[k % 10]})
            trace.update(legendgroup=name, hoverinfo="name")
            trace.update(showlegend=at == 0 or panel.labels != found[0].labels)
            figure.add_trace(trace, **place)
    frame = {"showticklabels": False, "showgrid": False, "zeroline": False}
    figure.update_xaxes(showline=True, mirror=True, linecolor="#888888", **frame)
    figure.update_yaxes(showline=True, mirror=True, linecolor="#888888", **frame)
    title = "t-SNE of penultimate features, classes head to tail with training samples"
    return figure.update_layout(title=title, height=480 * rows + 80)


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "embedding", folder)


def _panel(run: RunResults, name: str, one: tuple[Features, Provenance], asked: str) -> Panel:
    record, origin = one
    if len(record.embedding) == 0:
        raise InputError(
            f"the features of '{run.path}' are not embedded; run 'tailscape diagnose {run.path} "
            f"--analyses features --features.embedding 200 --checkpoints {asked} --overwrite'"
        )
    order = head_to_tail(record.training_count)
    return Panel(
        f"{name}, {checkpoint_label(origin)}",
        [
            f"{scope_label(f'class/{c}', origin.config)}: {record.training_count[c]:.0f}"
            for c in order
        ],
        [record.embedding[record.label == c] for c in order],
    )


def _draw_panel(axes: Axes, panel: Panel) -> None:
    size = np.clip(6000 / sum(map(len, panel.clouds)), 3, 14)
    for k, colour in enumerate(class_colours(len(panel.labels))):
        marker = _SHAPES[k] if len(panel.labels) <= len(_SHAPES) else "o"
        style = {"s": size, "color": colour, "marker": marker, "linewidths": 0, "rasterized": True}
        axes.scatter(*panel.clouds[k].T, label=panel.labels[k], **style)
    axes.set_title(panel.title)
    points = np.concatenate(panel.clouds)
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    reach = 0.53 * np.ptp(points, axis=0).max()
    axes.set_xlim(centre[0] - reach, centre[0] + reach)
    axes.set_ylim(centre[1] - reach, centre[1] + reach)
    axes.set_box_aspect(1)
    axes.set(xticks=[], yticks=[])
    axes.spines[["top", "right"]].set_visible(True)
