"""Draw the conflicts of class gradients: K x K cosines, a panel a run on one colour scale.

Two classes conflict where their cosine is negative (PLOT Def. 2.1); the conflict is dominated where
the shorter gradient opposes the average over classes (Def. 2.2). A class without samples is grey.
"""

from dataclasses import dataclass
from itertools import chain
from typing import cast

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from figures.charts.class_colours import MOST_NAMED, head_to_tail
from figures.charts.grid import page_grid, paper_grid, split_rows
from figures.charts.matrix import ClassMatrix, add_matrices, draw_matrix
from figures.charts.panel import Style
from figures.output import COLUMN, PAGE, Drawing
from figures.request import Request
from figures.runs.history import Snapshot, snapshots
from landscape.results.checkpoint_names import checkpoint_label
from landscape.results.gradients import Gradients

_GREY = "0.75"
_MOST_NUMBERED = 10  # classes whose cells have room for a number
_AXIS = "class, head to tail"
_PIXELS = 120  # of the page to an inch of ticks


@dataclass(frozen=True)
class ConflictMatrix(ClassMatrix):
    """The cosines of one run; classes in order of their training samples."""

    summary: str


@dataclass(frozen=True)
class Conflicts(Drawing):
    """The cosines of every run."""

    panels: list[ConflictMatrix]

    def draw(self) -> Figure:
        """Draw the figure for paper: column width for one run, page width for several."""
        rows = split_rows(self.panels)
        width = PAGE if len(self.panels) > 1 else COLUMN
        room = max(panel.room for panel in self.panels)
        side = (width - 0.85 - room) / len(rows[0])
        height = side + 0.75 + room
        figure, axes = paper_grid(rows, (width, height * len(rows)))
        figure.set_layout_engine("compressed")
        for row, places in zip(rows, axes, strict=True):
            for c, (place, panel) in enumerate(zip(places, row, strict=True)):
                image = _draw_panel(place, panel)
                if c and panel.ticks == row[c - 1].ticks:
                    place.set_yticklabels([])
        style: Style = {"aspect": 30, "pad": 0.01, "fraction": 0.05}
        style["label"] = "cosine of class gradients"
        bar = figure.colorbar(image, ax=list(chain(*axes)), **style)
        cast(Patch, bar.outline).set_visible(False)
        return figure

    def page(self) -> go.Figure:
        """Build the interactive page."""
        rows = split_rows(self.panels)
        titles = [f"{p.title}<br><sup>{p.summary}</sup>".replace("\n", " ") for p in self.panels]
        figure = page_grid(rows, titles, vertical_spacing=0.3 / len(rows))
        has_spread = any(panel.told is not None for panel in self.panels)
        spread = "<!-- told --> ± %{customdata:.3f} over mini-batches" if has_spread else ""
        hover = "%{y}<br>%{x}<br>cosine {}" + spread + "<extra></extra>"
        scale: Style = {"colorscale": "RdBu", "cmin": -1, "cmax": 1}
        add_matrices(figure, rows, (_AXIS, ""), hover, scale)
        figure.update_layout(coloraxis_colorbar_title="cosine")
        return figure.update_layout(
            plot_bgcolor=to_hex(_GREY),
            title="Conflicts of class gradients",
            margin={"t": 130},
            height=(460 + round(_PIXELS * max(p.room for p in self.panels))) * len(rows) + 130,
        )


def read(request: Request) -> Conflicts:
    """Read the similarities of every run, over all parameters or the option ``layer``.

    Raises:
        InputError: a run lacks the result, or a result the layer.
    """
    found = snapshots(request.runs, Gradients, request.checkpoint)
    return Conflicts([_matrix(one, request) for one in found])


def _matrix(one: Snapshot[Gradients], request: Request) -> ConflictMatrix:
    record = one.record
    layers = [str(name) for name in record.layer]
    layer = request.option("layer", ("all", *layers))
    order = head_to_tail(record.training_count)
    similarity, spread = record.similarity, record.similarity_std
    summary = _counted(record)
    if layer != "all":
        similarity = record.layer_similarity[layers.index(layer)]
        spread = np.full_like(similarity, np.nan)
        summary = _counted_in_layer(record, layers.index(layer))
    where = "" if layer == "all" else f", {layer}"
    names = [one.scope_label(f"class/{c}") for c in order]
    many = len(order) > MOST_NAMED
    return ConflictMatrix(
        f"{one.label}, {checkpoint_label(one.origin.checkpoint)}{where}",
        [f"{n}, {record.training_count[c]:.0f} samples" for n, c in zip(names, order, strict=True)],
        [str(c) if many else str(record.class_name[c]) for c in order],
        similarity[np.ix_(order, order)],
        -(-len(order) // 10) if many else 1,
        spread[np.ix_(order, order)] if np.isfinite(spread).any() else None,
        summary,
    )


def _counted(record: Gradients) -> str:
    return _worded(int(record.conflicts), int(record.pairs), int(record.dominated))


def _counted_in_layer(record: Gradients, at: int) -> str:
    """Count the conflicts in a layer; the file has the counts over all parameters only."""
    similarity = record.layer_similarity[at]
    pairs = np.argwhere(np.triu(np.isfinite(similarity), 1))
    norm, to_mean = record.layer_norm[at], record.layer_similarity_to_mean[at]
    negative = [(i, j) for i, j in pairs if similarity[i, j] < 0]
    shorter = [i if norm[i] < norm[j] else j for i, j in negative]
    return _worded(len(negative), len(pairs), sum(to_mean[c] < 0 for c in shorter))


def _worded(conflicts: int, pairs: int, dominated: int) -> str:
    if pairs == 0:
        return "no pair of classes to compare"
    share = 100 * conflicts / pairs
    return f"conflicts {conflicts} of {pairs} pairs ({share:.0f} %),\ndominated {dominated}"


def _draw_panel(axes: Axes, panel: ConflictMatrix) -> AxesImage:
    image = draw_matrix(axes, panel, _GREY, cmap="RdBu", vmin=-1, vmax=1)
    axes.set_title(f"{panel.title}\n{panel.summary}", fontsize=6.5)
    axes.set_xlabel(_AXIS)
    if len(panel.ticks) <= _MOST_NUMBERED:
        for (r, c), value in np.ndenumerate(panel.values):
            if np.isfinite(value):
                colour = "white" if abs(value) > 0.7 else "black"
                number = f"{value:z.2f}".replace("0.", ".").replace("-", "−")
                axes.text(c, r, number, ha="center", va="center", fontsize=4.3, color=colour)
    return image
