"""Draw class-by-class matrices at a checkpoint: confusion, and similarity of representations.

Rows of a confusion are shares of the true class's test samples. The option ``measure`` asks for a
similarity; without it, confusion is shown.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from figures.charts.grid import page_grid, paper_grid
from figures.charts.matrix import ClassMatrix, add_matrix, draw_matrix
from figures.output import COLUMN, Drawing
from figures.request import Request
from figures.runs.history import Snapshot, snapshots
from landscape.results import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.fields import Array
from landscape.results.similarity import Similarity

_MOST_TICKS = 20


@dataclass(frozen=True)
class HoverMatrix(ClassMatrix):
    """A matrix with a text for each cell."""

    words: list[list[str]]  # (K, K)


@dataclass(frozen=True)
class Matrices(Drawing):
    """The matrix of every run, side by side."""

    panels: list[HoverMatrix]
    labels: tuple[str, str]  # of the axes

    def draw(self) -> Figure:
        """Draw the figure for paper."""
        size = (COLUMN * len(self.panels), COLUMN * 0.9)
        figure, (places,) = paper_grid([self.panels], size)
        for axes, panel in zip(places, self.panels, strict=True):
            image = draw_matrix(axes, panel, "0.87", cmap="Blues", vmin=0.0, vmax=1)
            axes.set(title=panel.title, xlabel=self.labels[0], ylabel=self.labels[1])
        figure.colorbar(image, ax=places, aspect=30, pad=0.02)
        return figure

    def page(self) -> go.Figure:
        """Build the interactive page."""
        figure = page_grid([self.panels], [panel.title for panel in self.panels])
        for c, panel in enumerate(self.panels, 1):
            hover = {"text": panel.words, "hovertemplate": "%{text}<extra></extra>"}
            add_matrix(figure, panel, self.labels, 1, c, **hover)
        colours = {"colorscale": "Blues", "cmin": 0.0, "cmax": 1, "colorbar": {"thickness": 14}}
        return figure.update_layout(coloraxis=colours, plot_bgcolor="#dddddd")


def read(request: Request) -> Matrices:
    """Read the matrix of every run.

    Raises:
        InputError: a run lacks the result, or the result the measure.
    """
    measure = request.options.get("measure")
    if measure is None:
        accuracies = snapshots(request.runs, Accuracy, request.checkpoint)
        return Matrices([_confusion(one) for one in accuracies], ("predicted class", "true class"))
    similarities = snapshots(request.runs, Similarity, request.checkpoint)
    panels = [_similarity(one, measure) for one in similarities]
    return Matrices(panels, ("class", f"{measure.upper()} with class"))


def _confusion(one: Snapshot[Accuracy]) -> HoverMatrix:
    counts = one.record.confusion.astype(np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    counts = counts[:, : len(counts)]  # a model may predict classes beyond those of the labels
    shares = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
    names = [one.scope_label(f"class/{c}") for c in range(len(counts))]

    def word(r: int, c: int) -> str:
        return (
            f"true {names[r]}<br>predicted {names[c]}<br>{counts[r, c]:.0f} of {totals[r, 0]:.0f} "
            f"test samples ({100 * shares[r, c]:.1f} %)"
        )

    return _matrix(one.label, names, shares, word)


def _similarity(one: Snapshot[Similarity], measure: str) -> HoverMatrix:
    record = one.record
    present = [str(name) for name in record.measure]
    if measure not in present:
        raise InputError(f"this result holds no {measure}, only {', '.join(present)}")
    score = record.score[present.index(measure)]
    shuffled = record.shuffled_baseline[present.index(measure)]
    names = [one.scope_label(f"class/{c}") for c in range(len(score))]

    def word(r: int, c: int) -> str:
        return (
            f"{names[r]}<br>{names[c]}<br>{measure.upper()} {score[r, c]:.3f}, "
            f"rows shuffled {shuffled[r, c]:.3f}"
        )

    return _matrix(one.label, names, score, word)


def _matrix(
    label: str, names: list[str], values: Array, word: Callable[[int, int], str]
) -> HoverMatrix:
    ticks = [name.removeprefix("class ") for name in names]
    classes = range(len(names))
    words = [[word(r, c) for c in classes] for r in classes]
    return HoverMatrix(label, names, ticks, values, -(-len(names) // _MOST_TICKS), words)
