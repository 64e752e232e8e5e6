"""Draw the gain in test accuracy over the first run given, overall and by group.

Runs that differ only in their seed are one; where both sides have the same seeds gains are taken
seed by seed, which cancels the part that the seeds share. After CC-SAM Fig. 2.
"""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.charts.panel import Style, colour
from figures.output import HATCHES, PAGE, Drawing
from figures.request import Request
from figures.runs.scalars import GROUPS, Scalars, one_split, read_scalars
from figures.runs.settings import (
    check_same_data,
    seed_note,
    seeds_joined,
    setting_labels,
    told_apart,
)
from landscape.results import InputError
from landscape.results.fields import Array

_UNIT = "gain, percentage points"
_LEGEND_WIDTH, _LEGEND_MARK = 126, 6  # characters of the page, and those that a mark takes
# widths of a bar that leave room for its number, on paper and on a narrow window
_LEAST_WIDTH, _LEAST_NARROW = 0.09, 0.35
_UPRIGHT, _LEAST_UPRIGHT = 0.15, 0.05  # below which it stands upright on paper, or not at all


@dataclass(frozen=True)
class Gain:
    """One setting over the base."""

    label: str
    mean: Array  # (4,) percentage points: overall, head, mid, tail
    std: Array  # (4,) over seeds; NaN for one seed


@dataclass(frozen=True)
class Gains(Drawing):
    """All settings over the base."""

    base: str
    accuracy: Array  # (4,) of the base, per cent
    gains: list[Gain]
    split: str

    def draw(self) -> Figure:
        """Draw the figure for paper, page width."""
        longest = max(len(gain.label) for gain in self.gains)
        columns = max(1, min(len(self.gains), 4, _LEGEND_WIDTH // (longest + _LEGEND_MARK)))
        figure, axes = plt.subplots(figsize=(PAGE, 2.5 + 0.14 * (len(self.gains) // columns)))
        for k in range(len(self.gains)):
            self._draw_bars(axes, k)
        axes.axhline(0, color="black", lw=0.6)
        axes.margins(y=0.2 if self._places(0)[1] < _UPRIGHT else 0.12)
        axes.set_xticks(range(len(GROUPS)), self._ticks("\n"))
        axes.set_xlabel(self._label)
        axes.set_ylabel(_UNIT)
        figure.legend(loc="outside lower center", ncols=columns)
        return figure

    def page(self) -> go.Figure:
        """Build the interactive page."""
        figure = go.Figure()
        for k, gain in enumerate(self.gains):
            figure.add_traces(_traces(gain, k, *self._places(k)))
        ticks = {"tickvals": list(range(len(GROUPS))), "ticktext": self._ticks("<br>")}
        figure.update_xaxes(title_text=self._label, **ticks)
        figure.update_yaxes(title_text=_UNIT, zerolinecolor="black")
        return figure.update_layout(
            height=480, barmode="overlay", showlegend=True, title=f"Gain over {self.base}"
        )

    @property
    def finding(self) -> str:
        """The largest gain overall and of the tail."""
        said = []
        for k, name in ((0, GROUPS[0]), (len(GROUPS) - 1, GROUPS[-1])):
            known = [gain for gain in self.gains if np.isfinite(gain.mean[k])]
            if known:
                best = max(known, key=lambda gain: float(gain.mean[k]))
                said.append(f"most {name}: {best.label}, {best.mean[k]:+.1f} points")
        return "; ".join(said)

    @property
    def _label(self) -> str:
        return f"group (split '{self.split}'), with the accuracy of {self.base}"

    def _ticks(self, newline: str) -> list[str]:
        shares = zip(GROUPS, self.accuracy, strict=True)
        return [f"{name}{newline}{base:.1f} %" for name, base in shares]

    def _places(self, k: int) -> tuple[Array, float]:
        """Place the k-th setting's bars: their centres (4,) and width."""
        width = 0.8 / len(self.gains)
        centres: Array = np.arange(len(GROUPS), dtype=float) + (k + 0.5) * width - 0.4
        return centres, width

    def _draw_bars(self, axes: Axes, k: int) -> None:
        gain, (at, width) = self.gains[k], self._places(k)
        errors = None if np.isnan(gain.std).all() else gain.std
        style: Style = {"color": colour(k), "ecolor": "0.2", "capsize": 2, "edgecolor": "white"}
        style |= {"hatch": HATCHES[k % len(HATCHES)], "label": gain.label}
        bars = axes.bar(at, gain.mean, width, yerr=errors, **style)
        if width > _LEAST_UPRIGHT:
            style = {"fontsize": 5.5, "padding": 1.5, "rotation": 90 if width < _UPRIGHT else 0}
            axes.bar_label(bars, [_number(v) for v in gain.mean], **style)


def read(request: Request) -> Gains:
    """Read the accuracies of every run; the first is the base.

    Raises:
        InputError: there is nothing beside the base, a run lacks the result, or the runs differ in
            their data, network or split.
    """
    reads = [read_scalars(run, GROUPS, checkpoint=request.checkpoint) for run in request.runs]
    check_same_data([read.origin for read in reads], "gains")
    split = one_split(reads)
    groups = seeds_joined(reads, lambda read: read.origin)
    if len(groups) == 1:
        raise InputError(
            "there is no run beside the base; give the base first and then what it is compared "
            "with: tailscape figure flattening BASE RUN [RUN…]"
        )
    firsts = [group[0] for group in groups]
    names = told_apart(
        setting_labels([first.settings for first in firsts]),
        [first.origin for first in firsts],
        [first.run for first in firsts],
    )
    labels = [f"{name}{seed_note([len(g)])}" for name, g in zip(names, groups, strict=True)]
    found = [_gain(label, groups[0], g) for label, g in zip(labels[1:], groups[1:], strict=True)]
    return Gains(labels[0], _values(groups[0]).mean(axis=0), found, str(split))


def _traces(gain: Gain, k: int, at: Array, width: float) -> list[go.Bar | go.Scatter]:
    """Build the bars, and the numbers beyond their ends."""
    std = np.nan_to_num(gain.std)
    error = {"array": gain.std, "color": "#444444", "thickness": 1.2}
    bars = go.Bar(x=at, y=gain.mean, width=width, error_y=error, name=gain.label)
    bars.update(marker={"color": colour(k)}, hovertemplate="%{y:+.2f}", legendgroup=gain.label)
    ends = gain.mean + np.where(gain.mean < 0, -std, std)
    text = [_number(value) for value in gain.mean]
    sides = np.where(gain.mean < 0, "bottom center", "top center")
    numbers = go.Scatter(x=at, y=ends, text=text, textposition=sides, mode="text")
    numbers.update(legendgroup=gain.label, showlegend=False, hoverinfo="skip")
    numbers.update(meta={"wide": width < _LEAST_NARROW})
    return [bars, numbers] if width > _LEAST_WIDTH else [bars]


def _gain(label: str, base: list[Scalars], group: list[Scalars]) -> Gain:
    before, after = (_by_seed(side) for side in (base, group))
    if before.keys() == after.keys():
        differences = np.array([after[seed] - before[seed] for seed in after])
        return Gain(label, differences.mean(axis=0), _std(differences))
    sides = [_values(side) for side in (group, base)]
    spread = np.hypot(*(_std(side) for side in sides))
    return Gain(label, sides[0].mean(axis=0) - sides[1].mean(axis=0), spread)


def _by_seed(group: list[Scalars]) -> dict[int | None, Array]:
    return {read.settings["seed"]: np.array(read.values) for read in group}


def _values(group: list[Scalars]) -> Array:
    return np.array([read.values for read in group])


def _std(values: Array) -> Array:
    """Take the standard deviation over seeds (4,); unknown for one."""
    if len(values) == 1:
        return np.full(values.shape[1], np.nan)
    std: Array = values.std(axis=0, ddof=1)
    return std


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:+.1f}"
