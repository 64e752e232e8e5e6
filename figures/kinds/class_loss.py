"""Loss of each class over training, times the class's share of the training samples.

What a class adds to the mean loss, one line a class from head to tail (PLOT's supplement, Fig. 4).
"""

from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from figures.charts.class_lines import (
    MOST_NAMED,
    Panel,
    add_class_key,
    class_colours,
    head_to_tail,
    page_lines,
)
from figures.charts.grid import grid_shape, mark_reweighting, panel_grid
from figures.output import MARKERS, paper_style, write_figure
from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.history import history
from figures.runs.labels import run_labels, scope_label
from landscape.results import unknown
from landscape.results.provenance import Provenance
from landscape.results.sharpness import Sharpness

_LABEL = "mean loss of the class ×\nits share of the samples"


def panels(request: Request) -> list[Panel]:
    """Read the weighted losses of every epoch of every run.

    Args:
        request: its scopes may name classes, such as ``class/0``; the default is all.

    Raises:
        InputError: a run has no sharpness, or a scope is no class.
    """
    loaded = [_history(run) for run in request.runs]
    labels = run_labels([origin for _, _, origin in loaded], request.runs)
    return [
        _panel(label, request.scopes, epochs, records, origin)
        for label, (epochs, records, origin) in zip(labels, loaded, strict=True)
    ]


def draw(request: Request) -> Figure:
    """Draw the figure for paper, page width, one panel a run on one logarithmic scale."""
    found = panels(request)
    figure, places = panel_grid(len(found), 2.1)
    for axes, panel in zip(places, found, strict=True):
        axes.set_yscale("log")
        named = len(panel.labels) <= MOST_NAMED
        for k, (name, colour) in enumerate(zip(panel.labels, panel.colours, strict=True)):
            (line,) = axes.plot(panel.epochs, panel.values[k], label=name, color=colour)
            line.set_linewidth(0.9 if named else 0.5)
            if named:
                line.set(marker=MARKERS[k % len(MARKERS)], markevery=-(-len(panel.epochs) // 12))
        axes.set_title(panel.run)
        axes.set_xlabel("epoch")
        mark_reweighting(axes, panel.reweighting)
    for axes in places[:: grid_shape(len(found))[1]]:
        axes.set_ylabel(_LABEL)
    add_class_key(figure, places, max((panel.labels for panel in found), key=len))
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    title = "What each class adds to the mean loss, over training"
    return page_lines(panels(request), _LABEL.replace("\n", "<br>"), title, log=True)


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "class-loss", folder)


def _history(run: RunResults) -> tuple[np.ndarray, list[Sharpness], Provenance]:
    epochs, records, origins = history(run, Sharpness)
    return epochs, records, origins[-1]


def _panel(
    label: str,
    scopes: tuple[str, ...],
    epochs: np.ndarray,
    records: list[Sharpness],
    origin: Provenance,
) -> Panel:
    order = head_to_tail(records[-1].training_count)
    known = {f"class/{c}": c for c in order}
    for scope in scopes:
        if scope not in known:
            raise unknown("scope of a figure of single classes", scope, known)
    shown = [c for name, c in known.items() if not scopes or name in scopes]
    colours = dict(zip(order, class_colours(len(order)), strict=True))
    values = np.stack([record.weighted_loss[shown] for record in records], axis=1)
    return Panel(
        label,
        epochs,
        [scope_label(f"class/{c}", origin.config) for c in shown],
        [colours[c] for c in shown],
        np.where(values > 0, values, np.nan),  # a logarithmic axis has no place for 0
        origin.config["plan"]["reweighting_epoch"],
    )
