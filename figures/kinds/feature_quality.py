"""Feature quality, separation and log-variance of head and tail over training (GKP-GSA Fig. 2).

Rows are the quantities, columns runs. Each value is the mean over a group's classes, so that the
rows add up: Q = Dist - β log Var holds for groups as for classes.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from figures.charts.grid import mark_reweighting
from figures.output import COLOURS, MARKERS, PAGE, paper_style, write_figure
from figures.request import Request
from figures.runs.history import Array, history
from figures.runs.labels import run_labels, scope_label
from landscape.results.features import Features

_FIELDS = {"paper": "quality", "released": "quality_released"}
_FORMULAS = {"paper": "Dist − β log Var", "released": "−1/Dist − log Var"}


@dataclass(frozen=True)
class Column:
    """One run."""

    run: str
    epochs: Array  # (T,)
    labels: list[str]  # (S,) scopes
    values: Array  # (3, S, T) quality, separation, log-variance
    reweighting: int | None  # epoch


def columns(request: Request) -> list[Column]:
    """Read the features of every run; the option ``formula`` picks the quality.

    Raises:
        InputError: a run has no features, or a scope no class with samples.
    """
    quality = _FIELDS[request.option("formula", tuple(_FIELDS))]
    loaded = [history(run, Features) for run in request.runs]
    scopes = request.scopes or _default_scopes([r for _, records, _ in loaded for r in records])
    labels = run_labels([origins[-1] for _, _, origins in loaded], request.runs)
    found = []
    for label, (epochs, records, origins) in zip(labels, loaded, strict=True):
        config = origins[-1].config
        values = np.array([[_three(record, s, quality) for record in records] for s in scopes])
        names = [scope_label(scope, config) for scope in scopes]
        begins = config["plan"]["reweighting_epoch"]
        found.append(Column(label, epochs, names, np.moveaxis(values, 2, 0), begins))
    return found


def draw(request: Request) -> Figure:
    """Draw the figure for paper; each quantity has one scale for all runs."""
    found, names = columns(request), _quantities(request, "\n")
    width = min(PAGE, 3.25 * len(found))
    figure, axes = plt.subplots(
        3, len(found), figsize=(width, 4.6), squeeze=False, sharex="col", sharey="row"
    )
    for places, column in zip(axes.T, found, strict=True):
        for row, (place, values) in enumerate(zip(places, column.values, strict=True)):
            _draw_panel(place, column, values)
            mark_reweighting(place, column.reweighting, named=row == 0)
        places[0].set_title(column.run)
        places[-1].set_xlabel("epoch")
    for place, name in zip(axes[:, 0], names, strict=True):
        place.set_ylabel(name)
    figure.align_ylabels(axes[:, 0])
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4))
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    found = columns(request)
    titles = [column.run for column in found]
    shared = {"shared_xaxes": True, "shared_yaxes": True, "vertical_spacing": 0.06}
    figure = make_subplots(3, len(found), subplot_titles=titles, **shared)
    for c, column in enumerate(found, 1):
        for r, values in enumerate(column.values, 1):
            for k, (name, row) in enumerate(zip(column.labels, values, strict=True)):
                trace = go.Scatter(x=column.epochs, y=row, mode="lines+markers", name=name)
                trace.update(legendgroup=name, showlegend=(r, c) == (1, 1))
                trace.update(hovertemplate="epoch %{x}: %{y:.4g}")
                trace.update(line={"color": COLOURS[k % 8]}, marker={"symbol": k % 8})
                figure.add_trace(trace, r, c)
            if column.reweighting is not None:
                figure.add_vline(column.reweighting, line_dash="dot", row=r, col=c)
    for r, name in enumerate(_quantities(request, "<br>"), 1):
        figure.update_yaxes(title_text=name, row=r, col=1)
    figure.update_xaxes(title_text="epoch", row=3)
    return figure.update_layout(height=820, title="Feature quality over training")


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "feature-quality", folder)


def _default_scopes(records: list[Features]) -> tuple[str, ...]:
    """Head and tail, those of which all records have samples; otherwise all classes together."""
    found = tuple(scope for scope in ("head", "tail") if all(r.has(scope) for r in records))
    return found or ("overall",)


def _three(record: Features, scope: str, quality: str) -> tuple[float, float, float]:
    """Mean quality, separation and log-variance; a class of one sample has log-variance -inf."""
    with np.errstate(divide="ignore"):
        logarithms = replace(record, variance=np.log(record.variance))
    return (
        record.scope_mean(scope, quality),
        record.scope_mean(scope, "separation"),
        logarithms.scope_mean(scope, "variance"),
    )


def _quantities(request: Request, newline: str) -> tuple[str, str, str]:
    formula = _FORMULAS[request.options.get("formula", "paper")]
    return (
        f"quality{newline}{formula}",
        f"separation Dist{newline}(to nearest centroid)",
        f"log-variance{newline}log Var",
    )


def _draw_panel(axes: Axes, column: Column, values: Array) -> None:
    every = -(-len(column.epochs) // 12)
    for k, (name, row) in enumerate(zip(column.labels, values, strict=True)):
        (line,) = axes.plot(column.epochs, row, label=name, color=COLOURS[k % len(COLOURS)])
        line.set(marker=MARKERS[k % len(MARKERS)], markevery=every)
    axes.margins(y=0.1)
