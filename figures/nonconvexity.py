"""|λmin/λmax| against epoch, one line a class; bars follow from the bounds of both ends.

The epoch at which deferred re-weighting begins is marked.
"""

from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from figures.output import MARKERS, PAGE, paper_style, write_figure
from figures.runs import Request, RunResults, run_labels, scope_label
from landscape.results import InputError, Provenance, Spectrum

_MOST_LINES = 12


@dataclass(frozen=True)
class Curve:
    """One scope of one run over training."""

    label: str
    epochs: NDArray[np.float64]
    ratio: NDArray[np.float64]
    error: NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """One run."""

    run: str
    curves: list[Curve]
    reweighting: int | None  # epoch


def panels(request: Request) -> list[Panel]:
    """Read the curves of every run.

    Raises:
        InputError: a run has no spectrum of any epoch.
    """
    loaded = [_history(run) for run in request.runs]
    labels = run_labels([history[-1][1] for history in loaded])
    return [_panel(label, h, request.scopes) for label, h in zip(labels, loaded, strict=True)]


def draw(request: Request) -> Figure:
    """Draw the figure for paper, page width, one panel a run on one scale."""
    found = panels(request)
    columns = min(len(found), 3)
    rows = -(-len(found) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(PAGE, 2.1 * rows + 0.6), squeeze=False, sharey=True
    )
    for place, panel in zip(axes.flat, found, strict=False):
        _draw_panel(place, panel)
    for place in axes.flat[len(found) :]:
        place.set_visible(False)
    for row in axes:
        row[0].set_ylabel("|λmin / λmax|")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6))
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    found = panels(request)
    figure = make_subplots(1, len(found), subplot_titles=[p.run for p in found], shared_yaxes=True)
    for c, panel in enumerate(found, 1):
        for k, (curve, colour) in enumerate(zip(panel.curves, _colours(panel), strict=True)):
            figure.add_trace(
                go.Scatter(
                    x=curve.epochs,
                    y=curve.ratio,
                    error_y={"array": curve.error, "thickness": 1},
                    name=curve.label,
                    legendgroup=curve.label,
                    showlegend=c == 1,
                    mode="lines+markers",
                    line={"color": colour},
                    marker={"symbol": k % 8},
                ),
                1,
                c,
            )
        if panel.reweighting is not None:
            figure.add_vline(
                panel.reweighting, line_dash="dot", annotation_text="re-weighting", row=1, col=c
            )
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text="|λmin / λmax|", col=1)
    figure.update_layout(height=480, title="Non-convexity over training")
    return figure


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "nonconvexity", folder)


def _history(run: RunResults) -> list[tuple[Spectrum, Provenance]]:
    names = run.checkpoints(Spectrum)
    if not names:
        raise InputError(
            f"'{run.path}' has no spectrum; run 'tailscape diagnose {run.path} --analyses "
            "spectrum --checkpoints all'"
        )
    return [run.load(Spectrum, name) for name in names]


def _panel(
    label: str, history: list[tuple[Spectrum, Provenance]], scopes: tuple[str, ...]
) -> Panel:
    config = history[-1][1].config
    chosen = scopes or _default_scopes(history[-1][0])
    return Panel(
        label,
        [_curve(scope, history, scope_label(scope, config)) for scope in chosen],
        config["plan"]["reweighting_epoch"],
    )


def _default_scopes(record: Spectrum) -> tuple[str, ...]:
    """Every class when there are few, groups otherwise."""
    names = [str(name) for name in record.scope]
    classes = [name for name in names if name.startswith("class/")]
    if 0 < len(classes) <= _MOST_LINES:
        return tuple(classes)
    return tuple(n for n in names if n in {"head", "mid", "tail"}) or tuple(names[:_MOST_LINES])


def _curve(scope: str, history: list[tuple[Spectrum, Provenance]], label: str) -> Curve:
    epochs, ratios, errors = [], [], []
    for record, provenance in history:
        at = record.index(scope)
        ratio, high = record.nonconvexity[at], abs(record.lambda_max[at])
        epochs.append(int(provenance.checkpoint.removeprefix("epoch_")))
        ratios.append(ratio)
        errors.append((record.lambda_min_bound[at] + ratio * record.lambda_max_bound[at]) / high)
    return Curve(label, np.array(epochs, float), np.array(ratios), np.array(errors))


def _colours(panel: Panel) -> list[str]:
    """From dark (head) to light (tail), told apart in grey."""
    return [to_hex(colormaps["viridis"](x)) for x in np.linspace(0, 0.9, len(panel.curves))]


def _draw_panel(axes: Axes, panel: Panel) -> None:
    for k, (curve, colour) in enumerate(zip(panel.curves, _colours(panel), strict=True)):
        axes.errorbar(
            curve.epochs,
            curve.ratio,
            yerr=curve.error,
            label=curve.label,
            color=colour,
            marker=MARKERS[k % len(MARKERS)],
            capsize=1.5,
            lw=0.9,
        )
    if panel.reweighting is not None:
        axes.axvline(panel.reweighting, color="0.5", ls=":", lw=0.8)
        axes.text(
            panel.reweighting,
            1.0,
            "re-weighting ",
            transform=axes.get_xaxis_transform(),
            ha="right",
            va="top",
            fontsize=6,
            color="0.35",
        )
    axes.set_title(panel.run)
    axes.set_xlabel("epoch")
    axes.set_ylim(bottom=0)
