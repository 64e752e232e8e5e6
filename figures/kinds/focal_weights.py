"""The weights Focal-SAM gives the classes' sharpness, (1 - π_c)^γ, over classes (its Fig. 3).

Few classes are no density: they are marks below and their cumulative share above. Of many the
density is estimated by a Gaussian kernel, mirrored at 0 and 1 so that nothing leaks out. The option
``gammas`` gives the exponents by colons: ``gammas=1:2:4``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from plotly.subplots import make_subplots
from scipy.stats import gaussian_kde

from figures.output import COLOURS, PAGE, paper_style, write_figure
from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.settings import data_label
from landscape.results import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.provenance import Provenance
from landscape.results.spectrum import Spectrum

Array = NDArray[np.float64]
_COLUMN = 3.25  # inches
_GAMMAS = "0.5:1:2:3:5"
_MANY = 50  # classes of which a density is drawn
_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
_DASHES = ("solid", "dash", "dashdot", "dot", "longdashdot")
_GRID = np.linspace(0, 1, 2001)
_LEAST = 0.05  # density drawn


@dataclass(frozen=True)
class Panel:
    """One long tail."""

    title: str
    counts: Array  # (K,) training samples
    weights: Array  # (gammas, K)

    @property
    def is_density(self) -> bool:
        """Whether there are classes enough for a density."""
        return len(set(self.counts)) > 1 and len(self.counts) >= _MANY

    def curve(self, k: int) -> tuple[Array, Array]:
        """Density, or cumulative share of the classes, of the k-th exponent."""
        values = self.weights[k]
        if self.is_density:
            return _GRID, mirrored_density(values, _GRID)
        steps = np.sort(values)
        share = np.arange(len(steps) + 2) / len(steps)
        share[-1] = 1
        return np.concatenate([[0], steps, [1]]), share

    @property
    def start(self) -> float:
        """Where the axis of the weights begins."""
        least = float(self.weights.min())
        return max(least - 0.05 * (1 - least), -0.02)

    @property
    def highest(self) -> float:
        """Highest point of all curves."""
        return max(float(self.curve(k)[1].max()) for k in range(len(self.weights)))

    @property
    def label(self) -> str:
        """Of the vertical axis."""
        return "density over classes" if self.is_density else "share of the classes up to it"


def panels(request: Request) -> tuple[list[Panel], tuple[float, ...]]:
    """Read the class counts of every run; runs on the same long tail are one panel.

    Returns:
        Panels and exponents.

    Raises:
        InputError: a run has neither accuracy nor spectrum, or an exponent is no number above 0.
    """
    gammas = _gammas(request.options.get("gammas", _GAMMAS))
    found: dict[tuple[int, ...], Panel] = {}
    for run in request.runs:
        origin = _any_result(run, request.checkpoint)
        counts = np.array(origin.config["class_counts"], float)
        weights = np.array([(1 - counts / counts.sum()) ** gamma for gamma in gammas])
        title = f"{data_label(origin)} ({len(counts)} classes)"
        found.setdefault(tuple(origin.config["class_counts"]), Panel(title, counts, weights))
    return list(found.values()), gammas


def mirrored_density(values: Array, grid: Array) -> Array:
    """Estimate the density of values in [0, 1], what leaks out mirrored back in.

    Args:
        values: (K,), not all alike.
        grid: where to evaluate it (X,).

    Returns:
        The density (X,), which integrates to 1 over [0, 1].
    """
    kernel = gaussian_kde(values)
    density: Array = kernel(grid) + kernel(-grid) + kernel(2 - grid)
    return density


def draw(request: Request) -> Figure:
    """Draw the figure for paper: column width for one long tail, page width for several."""
    found, gammas = panels(request)
    columns = min(len(found), 3)
    rows = -(-len(found) // columns)
    size = (PAGE if columns > 1 else _COLUMN, 2.2 * rows + 0.35)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for spare in axes.flat[len(found) :]:
        spare.set_visible(False)
    for place, panel in zip(axes.flat, found, strict=False):
        _draw_panel(place, panel, gammas)
    handles, names = axes.flat[0].get_legend_handles_labels()
    most = 6 if columns > 1 else 3
    figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), most))
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    found, gammas = panels(request)
    figure = make_subplots(1, len(found), subplot_titles=[panel.title for panel in found])
    for c, panel in enumerate(found, 1):
        for k, gamma in enumerate(gammas):
            x, y = panel.curve(k)
            line = {"color": COLOURS[k % len(COLOURS)], "dash": _DASHES[k % len(_DASHES)]}
            line["shape"] = "linear" if panel.is_density else "hv"
            trace = go.Scatter(x=x, y=y, line=line, name=f"γ = {gamma:g}", legendgroup=str(k))
            trace.update(mode="lines", showlegend=c == 1, hovertemplate="weight %{x:.3f}: %{y:.3g}")
            figure.add_trace(trace, 1, c)
        figure.update_yaxes(title_text=panel.label, col=c)
        if panel.is_density:
            ends = np.log10([_LEAST, 1.5 * panel.highest])
            figure.update_yaxes(type="log", exponentformat="power", range=ends, col=c)
        figure.update_xaxes(range=[panel.start, 1 + 0.02 * (1 - panel.start)], col=c)
    figure.update_xaxes(title_text="(1 − π<sub>c</sub>)<sup>γ</sup>")
    return figure.update_layout(height=440, title="Weights of the classes' sharpness")


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "focal-weights", folder)


def _gammas(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(word) for word in text.split(":"))
    except ValueError:
        found = ()
    if not found or not all(0 < gamma < np.inf for gamma in found):
        raise InputError(
            f"--options gammas={text} is not of the form gammas=1:2:4, numbers above 0"
        )
    return found


def _any_result(run: RunResults, checkpoint: str) -> Provenance:
    if run.checkpoints(Accuracy) or not run.checkpoints(Spectrum):
        return run.load(Accuracy, checkpoint)[1]
    return run.load(Spectrum, checkpoint)[1]


def _draw_panel(axes: Axes, panel: Panel, gammas: Sequence[float]) -> None:
    for k, gamma in enumerate(gammas):
        colour, style = COLOURS[k % len(COLOURS)], _STYLES[k % len(_STYLES)]
        x, y = panel.curve(k)
        how = "default" if panel.is_density else "steps-post"
        axes.plot(x, y, color=colour, ls=style, drawstyle=how, label=f"γ = {gamma:g}")
        low = -0.05 * (k + 1)
        if not panel.is_density:
            row = np.full(len(panel.counts), low)
            axes.plot(panel.weights[k], row, "|", color=colour, ms=4, mew=0.8, clip_on=False)
    axes.set_title(panel.title)
    axes.set_xlim(panel.start, 1 + 0.02 * (1 - panel.start))
    axes.set_xlabel("(1 − $\\pi_c)^\\gamma$")
    axes.set_ylabel(panel.label)
    if panel.is_density:
        axes.set_yscale("log")
        axes.set_ylim(_LEAST, 1.5 * panel.highest)
    else:
        axes.set_ylim(-0.05 * (len(gammas) + 1), 1.03)
        axes.set_yticks(np.linspace(0, 1, 6))
