"""Class-by-class matrices at a checkpoint: confusion, and similarity of representations.

Rows of a confusion are shares of the true class's test samples. The option ``measure`` asks for a
similarity; without it, confusion is shown.
"""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.labels import run_labels, scope_label
from landscape.results import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.provenance import Provenance
from landscape.results.similarity import Similarity

_INCHES = 3.25
_MOST_TICKS = 20


@dataclass(frozen=True)
class Matrix:
    """One run's matrix."""

    run: str
    names: list[str]  # (K,) of classes
    values: NDArray[np.float64]  # (K, K) NaN where there is nothing to say
    words: list[list[str]]  # (K, K) for hovering


def matrices(request: Request) -> list[Matrix]:
    """Read the matrix of every run.

    Raises:
        InputError: a run lacks the result, or the result the measure.
    """
    read = _similarity if "measure" in request.options else _confusion
    found = [read(run, request) for run in request.runs]
    labels = run_labels([origin for _, origin in found], request.runs)
    return [Matrix(label, *parts) for label, (parts, _) in zip(labels, found, strict=True)]


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    found = matrices(request)
    titles = [matrix.run for matrix in found]
    figure = make_subplots(1, len(found), subplot_titles=titles)
    x, y, low = _axes(request)
    for c, matrix in enumerate(found, 1):
        trace = go.Heatmap(
            x=matrix.names,
            y=matrix.names,
            z=matrix.values,
            text=matrix.words,
            coloraxis="coloraxis",
            hoverongaps=False,
            hovertemplate="%{text}<extra></extra>",
        )
        figure.add_trace(trace, 1, c)
        every = -(-len(matrix.names) // _MOST_TICKS)
        short = [name.removeprefix("class ") for name in matrix.names]
        ticks = {"tickvals": matrix.names[::every], "ticktext": short[::every]}
        figure.update_xaxes(title_text=x, constrain="domain", row=1, col=c, **ticks)
        figure.update_yaxes(
            title_text=y, autorange="reversed", constrain="domain", row=1, col=c, **ticks
        )
    colours = {"colorscale": "Blues", "cmin": low, "cmax": 1, "colorbar": {"thickness": 14}}
    return figure.update_layout(coloraxis=colours, plot_bgcolor="#dddddd")


def draw(request: Request) -> Figure:
    """Draw the figure for paper."""
    found = matrices(request)
    x, y, low = _axes(request)
    size = (_INCHES * len(found), _INCHES * 0.9)
    figure, places = plt.subplots(1, len(found), figsize=size, squeeze=False)
    for axes, matrix in zip(places[0], found, strict=True):
        image = axes.imshow(np.ma.masked_invalid(matrix.values), cmap="Blues", vmin=low, vmax=1)
        axes.set_facecolor("0.87")
        every = -(-len(matrix.names) // _MOST_TICKS)
        shown = range(0, len(matrix.names), every)
        ticks = [matrix.names[k].removeprefix("class ") for k in shown]
        axes.set_xticks(shown, ticks, rotation=90 if max(map(len, ticks)) > 2 else 0)
        axes.set_yticks(shown, ticks)
        axes.set(title=matrix.run, xlabel=x, ylabel=y)
    figure.colorbar(image, ax=list(places[0]), aspect=30, pad=0.02)
    return figure


def _axes(request: Request) -> tuple[str, str, float]:
    """Names of the axes and the least value of the colours."""
    if "measure" in request.options:
        return "class", f"{request.options['measure'].upper()} with class", 0.0
    return "predicted class", "true class", 0.0


Parts = tuple[list[str], NDArray[np.float64], list[list[str]]]


def _confusion(run: RunResults, request: Request) -> tuple[Parts, Provenance]:
    record, origin = run.load(Accuracy, request.checkpoint)
    counts = record.confusion.astype(np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
    names = _names(len(counts), origin)
    words = [
        [
            f"true {names[r]}<br>predicted {names[c]}<br>{counts[r, c]:.0f} of {totals[r, 0]:.0f} "
            f"test samples ({100 * shares[r, c]:.1f} %)"
            for c in range(len(counts))
        ]
        for r in range(len(counts))
    ]
    return (names, shares, words), origin


def _similarity(run: RunResults, request: Request) -> tuple[Parts, Provenance]:
    record, origin = run.load(Similarity, request.checkpoint)
    measure, held = request.options["measure"], [str(name) for name in record.measure]
    if measure not in held:
        raise InputError(f"this result holds no {measure}, only {', '.join(held)}")
    score = record.score[held.index(measure)]
    shuffled = record.shuffled_baseline[held.index(measure)]
    names = _names(len(score), origin)
    words = [
        [
            f"{names[r]}<br>{names[c]}<br>{measure.upper()} {score[r, c]:.3f}, "
            f"rows shuffled {shuffled[r, c]:.3f}"
            for c in range(len(score))
        ]
        for r in range(len(score))
    ]
    return (names, score, words), origin


def _names(classes: int, origin: Provenance) -> list[str]:
    return [scope_label(f"class/{c}", origin.config) for c in range(classes)]
