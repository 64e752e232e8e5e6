"""Draw class-by-class matrices at a checkpoint: confusion, and similarity of representations.

Rows of a confusion are shares of the true class's samples. The option ``measure`` asks for a
similarity; without it, confusion is shown.
"""

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from figures.charts.grid import page_grid, paper_grid, split_rows
from figures.charts.matrix import ClassMatrix, add_matrices, draw_matrix, write_percents
from figures.charts.panel import Style
from figures.output import COLUMN, PAGE, Drawing
from figures.request import Request
from figures.runs.history import Snapshot, snapshots
from landscape.results import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.checkpoint_names import checkpoint_label
from landscape.results.fields import Array
from landscape.results.similarity import Similarity

_MOST_TICKS = 20
_PIXELS = 120  # of the page to an inch of ticks
_END = "<extra></extra>"


@dataclass(frozen=True)
class Matrices(Drawing):
    """The matrix of every run, side by side."""

    panels: list[ClassMatrix]
    labels: tuple[str, str]  # of the axes
    hover: str  # plotly's template, without the value
    title: str

    def draw(self) -> Figure:
        """Draw the figure for paper: column width for one run, page width for several."""
        rows = split_rows(self.panels)
        width = PAGE if len(self.panels) > 1 else COLUMN
        room = max(panel.room for panel in self.panels)
        side = (width - 0.8) / len(rows[0]) - room
        figure, axes = paper_grid(rows, (width, (side + 0.7 + room) * len(rows)))
        figure.set_layout_engine("compressed")
        places = list(chain(*axes))
        for place, panel in zip(places, self.panels, strict=True):
            image = draw_matrix(place, panel, "0.87", cmap="Blues", vmin=0.0, vmax=1)
            place.set(title=panel.title, xlabel=self.labels[0], ylabel=self.labels[1])
            write_percents(place, panel)
        bar = figure.colorbar(image, ax=places, aspect=30, pad=0.02, label=self.title)
        bar.outline.set_visible(False)
        return figure

    def page(self) -> go.Figure:
        """Build the interactive page."""
        rows = split_rows(self.panels)
        titles = [panel.title.replace("\n", "<br>") for panel in self.panels]
        figure = page_grid(rows, titles, vertical_spacing=0.3 / len(rows))
        scale: Style = {"colorscale": "Blues", "cmin": 0.0, "cmax": 1}
        add_matrices(figure, rows, self.labels, self.hover, scale)
        figure.update_layout(plot_bgcolor="#dddddd", title=self.title.capitalize())
        room = round(_PIXELS * max(panel.room for panel in self.panels))
        return figure.update_layout(height=(440 + room) * len(rows) + 130)


def read(request: Request) -> Matrices:
    """Read the matrix of every run.

    Raises:
        InputError: a run lacks the result, or the result the measure.
    """
    measure = request.options.get("measure")
    if measure is None:
        accuracies = snapshots(request.runs, Accuracy, request.checkpoint)
        hover = "true: %{y}<br>predicted: %{x}<br>share {}<!-- told -->, %{customdata} samples"
        judged = dict.fromkeys(one.record.judged_on(one.origin) for one in accuracies)
        labels = ("predicted class", "true class")
        title = f"share of the true class's {' and '.join(judged)} samples"
        return Matrices([_confusion(one) for one in accuracies], labels, hover + _END, title)
    similarities = snapshots(request.runs, Similarity, request.checkpoint)
    panels = [_similarity(one, measure) for one in similarities]
    name = measure.upper()
    hover = "%{y}<br>%{x}<br>" + name + " {}<!-- told -->, rows shuffled %{customdata:.3f}"
    return Matrices(panels, ("class", "class"), hover + _END, f"{name} of the classes' features")


def _confusion(one: Snapshot[Accuracy]) -> ClassMatrix:
    counts = one.record.confusion
    totals = counts.sum(axis=1)
    counts = counts[:, : len(counts)]  # a model may predict classes beyond those of the labels
    with np.errstate(invalid="ignore"):
        shares = np.where(totals[:, None] > 0, counts / totals[:, None], np.nan)
    return _matrix(one, shares, counts, _worst(one, shares))


def _worst(one: Snapshot[Accuracy], shares: Array) -> str:
    """Name the pair of classes that is confused most."""
    wrong = np.where(np.eye(len(shares), dtype=bool), np.nan, shares)
    if not np.nanmax(wrong, initial=0.0) > 0:
        return "no sample is taken for another class"
    row, column = np.unravel_index(np.nanargmax(wrong), wrong.shape)
    names = [one.scope_label(f"class/{c}").removeprefix("class ") for c in (row, column)]
    return f"most confused: {names[0]} taken for {names[1]}, {100 * wrong[row, column]:.0f} %"


def _similarity(one: Snapshot[Similarity], measure: str) -> ClassMatrix:
    record = one.record
    present = [str(name) for name in record.measure]
    if measure not in present:
        raise InputError(f"this result holds no {measure}, only {', '.join(present)}")
    at = present.index(measure)
    return _matrix(one, record.score[at], record.shuffled_baseline[at])


def _matrix(one: Snapshot[Any], values: Array, told: Array, said: str = "") -> ClassMatrix:
    names = [one.scope_label(f"class/{c}") for c in range(len(values))]
    ticks = [name.removeprefix("class ") for name in names]
    title = f"{one.label}, {checkpoint_label(one.origin.checkpoint)}"
    every = -(-len(names) // _MOST_TICKS)
    return ClassMatrix("\n".join(filter(None, (title, said))), names, ticks, values, every, told)
