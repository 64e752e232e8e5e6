"""Cosine of each class's gradient with an average gradient over training.

Lines, one a class coloured from head to tail (PLOT Fig. 2), or bars of the first two and the last
two classes at each checkpoint (GKP-GSA Fig. 6, against the gradient of the batch).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.charts.class_lines import (
    Panel,
    add_class_key,
    class_colours,
    class_panels,
    draw_lines,
    page_lines,
)
from figures.charts.grid import grid_shape, page_grid, panel_grid
from figures.output import paper_style, write_figure
from figures.request import Request
from landscape.results import InputError

_AGAINST = {
    "mean": "the average over classes",
    "batch": "the gradient of all samples",
    "direction": "what the rule follows",
}
_VIEWS = ("lines", "bars")


def panels(request: Request) -> list[Panel]:
    """Read the cosines of every run with what the option ``against`` names.

    Raises:
        InputError: a run has no gradients, or the direction its rule follows was not kept.
    """
    against = request.option("against", tuple(_AGAINST))
    found = class_panels(request, lambda record: getattr(record, f"similarity_to_{against}"))
    for run, panel in zip(request.runs, found, strict=True):
        if against == "direction" and np.isnan(panel.values).all():
            raise InputError(
                f"'{run.path}' holds no similarity to what its rule follows; run 'tailscape "
                f"diagnose {run.path} --analyses gradients --gradients.batches 20 "
                "--gradients.direction --checkpoints all --overwrite'"
            )
    return [_ends(p) for p in found] if _is_bars(request) and not request.scopes else found


def draw(request: Request) -> Figure:
    """Draw the figure for paper, page width, one panel a run on one scale."""
    found, label = panels(request), _label(request, "\n")
    if not _is_bars(request):
        return draw_lines(found, label, level=0)
    figure, places = panel_grid(len(found), 2.1)
    for axes, panel in zip(places, found, strict=True):
        _draw_bars(axes, panel)
    for axes in places[:: grid_shape(len(found))[1]]:
        axes.set_ylabel(label)
    add_class_key(figure, places, found[0].labels)
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    found, label = panels(request), _label(request, "<br>")
    if not _is_bars(request):
        return page_lines(found, label, "Gradient similarity over training")
    figure = page_grid([panel.run for panel in found])
    columns = grid_shape(len(found))[1]
    for at, panel in enumerate(found):
        epochs = [str(epoch) for epoch in panel.epochs]
        for name, colour, row in zip(panel.labels, panel.colours, panel.values, strict=True):
            trace = go.Bar(x=epochs, y=row, marker={"color": colour}, name=name, legendgroup=name)
            trace.update(showlegend=at == 0, hovertemplate="epoch %{x}: %{y:.3f}")
            figure.add_trace(trace, at // columns + 1, at % columns + 1)
    figure.update_xaxes(title_text="epoch", type="category")
    figure.update_yaxes(title_text=label, col=1)
    return figure.update_layout(title="Gradient similarity at the checkpoints", barmode="group")


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "gradient-similarity", folder)


def _is_bars(request: Request) -> bool:
    return request.option("view", _VIEWS) == "bars"


def _label(request: Request, newline: str) -> str:
    other = _AGAINST[request.options.get("against", "mean")]
    return f"cosine of the class's gradient{newline}with {other}"


def _ends(panel: Panel) -> Panel:
    """The first two and the last two classes, in colours of their own."""
    count = len(panel.labels)
    kept = sorted({0, min(1, count - 1), max(count - 2, 0), count - 1})
    return replace(
        panel,
        labels=[panel.labels[k] for k in kept],
        colours=class_colours(len(kept)),
        values=panel.values[kept],
    )


def _draw_bars(axes: Axes, panel: Panel) -> None:
    places, classes = np.arange(len(panel.epochs)), len(panel.labels)
    for k, (name, colour) in enumerate(zip(panel.labels, panel.colours, strict=True)):
        at = places + (k - (classes - 1) / 2) * 0.8 / classes
        axes.bar(at, panel.values[k], 0.8 / classes, color=colour, label=name)
    axes.axhline(0, color="0.4", lw=0.6)
    every = -(-len(places) // 12)
    axes.set_xticks(places[::every], [str(epoch) for epoch in panel.epochs[::every]])
    axes.set_title(panel.run)
    axes.set_xlabel("epoch")
