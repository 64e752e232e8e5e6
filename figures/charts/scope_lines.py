"""Numbers of the spectra over training: one curve a scope, one panel a run, with error bars."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from figures.output import MARKERS
from figures.request import Request
from figures.runs.history import stored_spectra
from figures.runs.labels import one_matrix, run_labels, scope_label
from landscape.results.matrix import MatrixSpec
from landscape.results.provenance import Provenance
from landscape.results.spectrum import Spectrum

Read = Callable[[Spectrum, int], tuple[float, float]]  # of a scope: value and half its error bar
_MOST_LINES = 12


@dataclass(frozen=True)
class Curve:
    """One number of one scope of one run over training."""

    label: str
    epochs: NDArray[np.float64]  # (T,)
    value: NDArray[np.float64]  # (T,)
    error: NDArray[np.float64]  # (T,) half-width


@dataclass(frozen=True)
class Panel:
    """One run."""

    run: str
    curves: list[Curve]
    reweighting: int | None  # epoch


@dataclass(frozen=True)
class History:
    """The spectra of one run, in order of training."""

    run: str
    stored: list[tuple[Spectrum, Provenance]]
    scopes: tuple[str, ...]
    matrix: MatrixSpec

    def panel(self, read: Read) -> Panel:
        """Follow one number of every scope."""
        config = self.stored[-1][1].config
        curves = [_curve(self.stored, s, scope_label(s, config), read) for s in self.scopes]
        return Panel(self.run, curves, config["plan"]["reweighting_epoch"])


def histories(request: Request) -> list[History]:
    """Read the spectra of every run, of option ``matrix``.

    Raises:
        InputError: a run has no spectrum of any epoch, or they are of different matrices.
    """
    runs = request.spectrum_runs()
    loaded = [stored_spectra(run) for run in runs]
    matrix = one_matrix([origin for stored in loaded for _, origin in stored])
    labels = run_labels([stored[-1][1] for stored in loaded], runs)
    return [
        History(label, stored, request.scopes or _default_scopes(stored[-1][0]), matrix)
        for label, stored in zip(labels, loaded, strict=True)
    ]


def draw_curves(axes: Axes, panel: Panel, *, named: bool = True) -> None:
    """Draw a panel for paper, and mark where deferred re-weighting begins, ``named`` with words."""
    for k, (curve, colour) in enumerate(zip(panel.curves, _colours(panel.curves), strict=True)):
        axes.errorbar(
            curve.epochs,
            curve.value,
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
            "re-weighting " if named else "",
            transform=axes.get_xaxis_transform(),
            ha="right",
            va="top",
            fontsize=6,
            color="0.35",
        )


def add_curves(figure: go.Figure, panel: Panel, row: int, column: int) -> None:
    """Add a panel to a page; the first one makes the legend."""
    for k, (curve, colour) in enumerate(zip(panel.curves, _colours(panel.curves), strict=True)):
        figure.add_trace(
            go.Scatter(
                x=curve.epochs,
                y=curve.value,
                error_y={"array": curve.error, "thickness": 1},
                name=curve.label,
                legendgroup=curve.label,
                showlegend=row == column == 1,
                mode="lines+markers",
                line={"color": colour},
                marker={"symbol": k % 8},
            ),
            row,
            column,
        )
    if panel.reweighting is not None:
        words = "re-weighting" if row == 1 else ""
        figure.add_vline(
            panel.reweighting, line_dash="dot", annotation_text=words, row=row, col=column
        )


def _default_scopes(record: Spectrum) -> tuple[str, ...]:
    """Every class when there are few, groups otherwise."""
    names = [str(name) for name in record.scope]
    classes = [name for name in names if name.startswith("class/")]
    if 0 < len(classes) <= _MOST_LINES:
        return tuple(classes)
    return tuple(n for n in names if n in {"head", "mid", "tail"}) or tuple(names[:_MOST_LINES])


def _curve(stored: list[tuple[Spectrum, Provenance]], scope: str, label: str, read: Read) -> Curve:
    epochs = [int(origin.checkpoint.removeprefix("epoch_")) for _, origin in stored]
    found = [read(record, record.index(scope)) for record, _ in stored]
    values, errors = np.array(found, dtype=np.float64).T
    return Curve(label, np.array(epochs, dtype=np.float64), values, errors)


def _colours(curves: Sequence[Curve]) -> list[str]:
    """From dark (head) to light (tail), told apart in grey."""
    return [to_hex(colormaps["viridis"](x)) for x in np.linspace(0, 0.9, len(curves))]
