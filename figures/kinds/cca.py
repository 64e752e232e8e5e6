"""Similarity of head and tail representations over training, with its shuffled baseline.

PLOT's supplement, Fig. 13c. Unrelated noise of n rows in d dimensions still scores about sqrt(d/n),
so a score says something only by its distance to the baseline, drawn dashed in the same colour.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from figures.output import COLOURS, MARKERS, paper_style, write_figure
from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.history import history
from figures.runs.labels import run_labels
from landscape.results import InputError
from landscape.results.similarity import Similarity

Array = NDArray[Any]
_MEASURES = {"cca": "CCA", "svcca": "SVCCA", "pwcca": "PWCCA", "cka": "linear CKA"}


@dataclass(frozen=True)
class Curve:
    """One run."""

    run: str
    epochs: Array  # (T,)
    score: Array  # (T,) head against tail
    error: Array  # (T,) standard error over draws
    baseline: Array  # (T,) with the rows of one side shuffled
    note: str  # how rows were matched, n, d and draws


def curves(request: Request) -> list[Curve]:
    """Read the scores of every run by the option ``measure``.

    Raises:
        InputError: a run has no similarities, or they lack the measure.
    """
    measure = request.option("measure", tuple(_MEASURES))
    loaded = [history(run, Similarity) for run in request.runs]
    labels = run_labels([origins[-1] for _, _, origins in loaded], request.runs)
    found = []
    for run, label, (epochs, records, _) in zip(request.runs, labels, loaded, strict=True):
        at = [_index(run, record, measure) for record in records]
        if np.isnan([record.head_tail for record in records]).all():
            raise InputError(
                f"'{run.path}' has no head-tail score (rows matched by {records[-1].paired}); run "
                f"'tailscape diagnose {run.path} --analyses similarity --checkpoints all "
                "--overwrite'"
            )
        score, error, baseline = (
            np.array([getattr(record, name)[k] for record, k in zip(records, at, strict=True)])
            for name in ("head_tail", "head_tail_sem", "head_tail_baseline")
        )
        found.append(Curve(label, epochs, score, error, baseline, _note(records)))
    return found


def draw(request: Request) -> Figure:
    """Draw the figure for paper, column width, all runs in one panel."""
    found = curves(request)
    figure, axes = plt.subplots(figsize=(3.25, 2.9))
    for k, curve in enumerate(found):
        colour = COLOURS[k % len(COLOURS)]
        bars = axes.errorbar(
            curve.epochs, curve.score, yerr=curve.error, color=colour, capsize=1.5, lw=0.9
        )
        bars.lines[0].set(marker=MARKERS[k % len(MARKERS)])
        bars.set_label(_name(curve, found))
        axes.plot(curve.epochs, curve.baseline, ls="--", lw=0.9, color=colour)
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"{_measure(request)} of head and tail")
    axes.set_title(_title(request, found, "\n"), fontsize=6.5)
    handles, labels = axes.get_legend_handles_labels()
    handles.append(Line2D([], [], color="0.4", ls="--", lw=0.9))
    labels.append("shuffled baseline")
    figure.legend(handles, labels, loc="outside lower center", ncols=_legend_columns(labels))
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    found = curves(request)
    figure = go.Figure()
    for k, curve in enumerate(found):
        name, colour = _name(curve, found), COLOURS[k % len(COLOURS)]
        score = go.Scatter(x=curve.epochs, y=curve.score, name=name, mode="lines+markers")
        score.update(error_y={"array": curve.error, "thickness": 1}, line={"color": colour})
        base = go.Scatter(x=curve.epochs, y=curve.baseline, name=f"{curve.run}, shuffled")
        base.update(line={"color": colour, "dash": "dash"}, mode="lines")
        for trace in (score, base):
            trace.update(marker={"symbol": k % 8}, hovertemplate="epoch %{x}: %{y:.3f}")
            figure.add_trace(trace)
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text=f"{_measure(request)} of head and tail")
    title = _title(request, found, "<br>")
    return figure.update_layout(height=580, title=title, margin={"t": 120})


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "cca", folder)


def _index(run: RunResults, record: Similarity, measure: str) -> int:
    held = [str(name) for name in record.measure]
    if measure not in held:
        raise InputError(
            f"'{run.path}' holds no {measure}, only {', '.join(held)}; use --options "
            f"measure={held[0]}, or diagnose it again with --analyses similarity --overwrite"
        )
    return held.index(measure)


def _note(records: list[Similarity]) -> str:
    matched = "; ".join(dict.fromkeys(str(record.paired) for record in records))
    rows, dimension, draws = (
        _span([int(getattr(record, name)) for record in records])
        for name in ("rows", "dimension", "draws")
    )
    return f"{matched}: n = {rows} rows a side, d = {dimension}, {draws} draws"


def _span(values: list[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}–{high}"


def _measure(request: Request) -> str:
    return _MEASURES[request.options.get("measure", "cca")]


def _agree(found: list[Curve]) -> bool:
    return len({curve.note for curve in found}) == 1


def _title(request: Request, found: list[Curve], newline: str) -> str:
    title = f"Head-tail {_measure(request)} over training"
    note = found[0].note.replace(": ", newline, 1)
    return f"{title}{newline}{note}" if _agree(found) else title


def _name(curve: Curve, found: list[Curve]) -> str:
    return curve.run if _agree(found) else f"{curve.run} ({curve.note})"


def _legend_columns(labels: list[str]) -> int:
    return 1 if max(map(len, labels)) > 25 else min(len(labels), 2)
