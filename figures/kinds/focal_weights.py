"""Draw the weights Focal-SAM gives the classes' sharpness, (1 - π_c)^γ (its Fig. 3).

Few classes are no density: they are marks below and their cumulative share above. Of many the
density is estimated by a Gaussian kernel, mirrored at 0 and 1 so that nothing leaks out. The option
``gammas`` gives the exponents by colons: ``gammas=1:2:4``.
"""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import gaussian_kde

from figures.charts.grid import split_rows
from figures.charts.lines import Chart, Key
from figures.charts.panel import Axis, Dash, Line, Panel, Style, colour
from figures.output import COLUMN, PAGE, Drawing
from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.settings import data_label
from landscape.results import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.fields import Array
from landscape.results.provenance import Provenance
from landscape.results.spectrum import Spectrum

_GAMMAS = "0.5:1:2:3:5"
_MANY = 50  # classes of which a density is drawn
_DASHES: tuple[Dash, ...] = ("solid", "dash", "dashdot", "dot", "longdashdot")
_GRID = np.linspace(0, 1, 2001)
_LEAST = 0.05  # density drawn
_STEP = 0.05  # between the rows of marks below


@dataclass(frozen=True)
class ClassWeights:
    """The weights of the classes of one long tail."""

    title: str
    counts: Array  # (K,) training samples
    gammas: tuple[float, ...]
    weights: Array  # (gammas, K)

    @property
    def is_density(self) -> bool:
        """Whether there are classes enough for a density."""
        return len(set(self.counts)) > 1 and len(self.counts) >= _MANY

    def curve(self, k: int) -> tuple[Array, Array]:
        """Compute the density, or the cumulative share of the classes, of the k-th exponent."""
        values = self.weights[k]
        if self.is_density:
            return _GRID, mirrored_density(values, _GRID)
        steps = np.sort(values)
        share = np.arange(len(steps) + 2) / len(steps)
        share[-1] = 1
        return np.concatenate([[0], steps, [1]]), share

    def panel(self) -> Panel:
        """Describe the curves of all exponents."""
        hover = "weight %{x:.3f}: %{y:.3g}"
        lines = [
            Line(
                f"γ = {gamma:g}",
                *self.curve(k),
                colour(k),
                dash=_DASHES[k % len(_DASHES)],
                steps=not self.is_density,
                hover=hover,
            )
            for k, gamma in enumerate(self.gammas)
        ]
        highest = max(float(line.y.max()) for line in lines)
        return Panel(self.title, lines, self._weight_axis(), self._share_axis(highest))

    def draw_marks(self, axes: Axes) -> None:
        """Mark each class below the shares."""
        for k, weights in enumerate(self.weights):
            row = np.full(len(weights), -_STEP * (k + 1))
            axes.plot(weights, row, "|", color=colour(k), ms=4, mew=0.8, clip_on=False)
        axes.set_yticks(np.linspace(0, 1, 6))

    def _weight_axis(self) -> Axis:
        least = float(self.weights.min())
        start = max(least - 0.05 * (1 - least), -0.02)
        ends = (start, 1 + 0.02 * (1 - start))
        label = "weight of a class's sharpness, (1 − πc)ᵞ"
        page_label = "weight of a class's sharpness, (1 − π<sub>c</sub>)<sup>γ</sup>"
        return Axis(label, page_label, limits=ends, page={"range": ends})

    def _share_axis(self, highest: float) -> Axis:
        if not self.is_density:
            limits = (-_STEP * (len(self.gammas) + 1), 1.03)
            return Axis("share of the classes\nwith at most this weight", limits=limits)
        ends = (_LEAST, 1.5 * highest)
        page: Style = {"range": np.log10(ends)}
        return Axis("density of the classes", scale="log", limits=ends, page=page)


@dataclass(frozen=True)
class FocalWeights(Drawing):
    """The weights on several long tails."""

    tails: list[ClassWeights]

    def draw(self) -> Figure:
        """Draw the figure for paper: column width for one long tail, page width for several."""
        figure = self._chart().draw()
        for axes, tail in zip(figure.axes, self.tails, strict=False):
            if not tail.is_density:
                tail.draw_marks(axes)
        return figure

    def page(self) -> go.Figure:
        """Build the interactive page."""
        return self._chart().page()

    def _chart(self) -> Chart:
        rows = split_rows([tail.panel() for tail in self.tails])
        columns = len(rows[0])
        size = (PAGE if columns > 1 else COLUMN, 2.2 * len(rows) + 0.35)
        key = Key(6 if columns > 1 else 3)
        marks = "" if all(tail.is_density for tail in self.tails) else "; below: a mark a class"
        note = f"π: a class's share of the training samples; at γ = 0 all weights are 1{marks}"
        title = "Weights of the classes' sharpness in Focal-SAM"
        return Chart(rows, title, size, 440 * len(rows), key=key, note=note)


def read(request: Request) -> FocalWeights:
    """Read the class counts of every run; runs on the same long tail are one panel.

    Raises:
        InputError: a run has neither accuracy nor spectrum, or an exponent is no number above 0.
    """
    gammas = _gammas(request.options.get("gammas", _GAMMAS))
    found: dict[tuple[int, ...], ClassWeights] = {}
    for run in request.runs:
        origin = _any_origin(run, request.checkpoint)
        counts = np.array(origin.config["class_counts"], float)
        weights = np.array([(1 - counts / counts.sum()) ** gamma for gamma in gammas])
        title = f"{data_label(origin)} ({len(counts)} classes)"
        tail = ClassWeights(title, counts, gammas, weights)
        found.setdefault(tuple(origin.config["class_counts"]), tail)
    return FocalWeights(list(found.values()))


def mirrored_density(values: Array, grid: Array) -> Array:
    """Estimate the density of values in [0, 1], mirrored at both ends so that it stays within.

    Args:
        values: (K,), not all alike.
        grid: where to evaluate it (X,).

    Returns:
        The density (X,), which integrates to 1 over [0, 1].
    """
    kernel = gaussian_kde(values)
    density: Array = kernel(grid) + kernel(-grid) + kernel(2 - grid)
    return density


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


def _any_origin(run: RunResults, checkpoint: str) -> Provenance:
    has_accuracy = run.checkpoints(Accuracy) or not run.checkpoints(Spectrum)
    return run.origin(Accuracy if has_accuracy else Spectrum, checkpoint)
