"""What flattening brings: gain in test accuracy over the first run given, overall and by group.

Runs that differ only in their seed are one; where both sides have the same seeds gains are taken
seed by seed, which takes out what the seeds share. After CC-SAM Fig. 2.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.output import COLOURS, HATCHES, PAGE, paper_style, write_figure
from figures.request import Request
from figures.runs.scalars import GROUPS, Read, one_split, read_scalars
from figures.runs.settings import (
    refuse_other_data,
    seed_note,
    seeds_joined,
    setting_labels,
    told_apart,
)
from landscape.results import InputError

Array = NDArray[np.float64]
_UNIT = "gain, percentage points"
_LEAST_WIDTH = 0.09  # of a bar that leaves room for its number


@dataclass(frozen=True)
class Gain:
    """One setting over the base."""

    label: str
    mean: Array  # (4,) percentage points: overall, head, mid, tail
    std: Array  # (4,) over seeds; NaN for one seed


@dataclass(frozen=True)
class Gains:
    """All settings over the base."""

    base: str
    accuracy: Array  # (4,) of the base, per cent
    gains: list[Gain]
    split: str


def gains(request: Request) -> Gains:
    """Read the accuracies of every run; the first is the base.

    Raises:
        InputError: there is nothing beside the base, a run lacks the result, or the runs differ in
            their data, network or split.
    """
    reads = [read_scalars(run, GROUPS, checkpoint=request.checkpoint) for run in request.runs]
    refuse_other_data([read.origin for read in reads], "gains")
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


def draw(request: Request) -> Figure:
    """Draw the figure for paper, page width."""
    found = gains(request)
    figure, axes = plt.subplots(figsize=(PAGE, 2.5 + 0.14 * (len(found.gains) // 4)))
    for k, gain in enumerate(found.gains):
        at, width = _places(found, k)
        errors = None if np.isnan(gain.std).all() else gain.std
        style: dict[str, Any] = {"color": COLOURS[k % len(COLOURS)], "ecolor": "0.2", "capsize": 2}
        style |= {"hatch": HATCHES[k % len(HATCHES)], "edgecolor": "white", "label": gain.label}
        bars = axes.bar(at, gain.mean, width, yerr=errors, **style)
        if width > _LEAST_WIDTH:
            axes.bar_label(bars, [_number(v) for v in gain.mean], fontsize=5.5, padding=1.5)
    axes.axhline(0, color="black", lw=0.6)
    axes.margins(y=0.12)
    axes.set_xticks(range(len(GROUPS)), _ticks(found, "\n"))
    axes.set_xlabel(_label(found))
    axes.set_ylabel(_UNIT)
    figure.legend(loc="outside lower center", ncols=min(len(found.gains), 4))
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    found = gains(request)
    figure = go.Figure()
    for k, gain in enumerate(found.gains):
        at, width = _places(found, k)
        colour, std = COLOURS[k % len(COLOURS)], np.nan_to_num(gain.std)
        error = {"array": gain.std, "color": "#444444", "thickness": 1.2}
        bar = go.Bar(x=at, y=gain.mean, width=width, error_y=error, name=gain.label)
        bar.update(marker={"color": colour}, hovertemplate="%{y:+.2f}", legendgroup=gain.label)
        figure.add_trace(bar)
        ends = gain.mean + np.where(gain.mean < 0, -std, std)
        text = [_number(value) for value in gain.mean]
        sides = np.where(gain.mean < 0, "bottom center", "top center")
        numbers = go.Scatter(x=at, y=ends, text=text, textposition=sides, mode="text")
        numbers.update(legendgroup=gain.label, showlegend=False, hoverinfo="skip")
        figure.add_trace(numbers)
    ticks = {"tickvals": list(range(len(GROUPS))), "ticktext": _ticks(found, "<br>")}
    figure.update_xaxes(title_text=_label(found), **ticks)
    figure.update_yaxes(title_text=_UNIT, zerolinecolor="black")
    return figure.update_layout(
        height=480, barmode="overlay", showlegend=True, title=f"Gain over {found.base}"
    )


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "flattening", folder)


def _places(found: Gains, k: int) -> tuple[Array, float]:
    """Centres (4,) and width of the k-th setting's bars."""
    width = 0.8 / len(found.gains)
    centres: Array = np.arange(len(GROUPS), dtype=float) + (k + 0.5) * width - 0.4
    return centres, width


def _ticks(found: Gains, newline: str) -> list[str]:
    shares = zip(GROUPS, found.accuracy, strict=True)
    return [f"{name}{newline}{base:.1f} %" for name, base in shares]


def _label(found: Gains) -> str:
    return f"group (split '{found.split}'), with the accuracy of {found.base}"


def _gain(label: str, base: list[Read], group: list[Read]) -> Gain:
    before, after = (_by_seed(side) for side in (base, group))
    if before.keys() == after.keys():
        differences = np.array([after[seed] - before[seed] for seed in after])
        return Gain(label, differences.mean(axis=0), _std(differences))
    sides = [_values(side) for side in (group, base)]
    spread = np.hypot(*(_std(side) for side in sides))
    return Gain(label, sides[0].mean(axis=0) - sides[1].mean(axis=0), spread)


def _by_seed(group: list[Read]) -> dict[int | None, Array]:
    return {read.settings["seed"]: np.array(read.values) for read in group}


def _values(group: list[Read]) -> Array:
    return np.array([read.values for read in group])


def _std(values: Array) -> Array:
    """Over seeds (4,); unknown for one."""
    if len(values) == 1:
        return np.full(values.shape[1], np.nan)
    std: Array = values.std(axis=0, ddof=1)
    return std


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:+.1f}"
