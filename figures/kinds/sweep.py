"""A number of each run against one setting: mean and deviation over seeds, a line a method.

The option ``y`` names the numbers (several by colons: ``y=overall:tail``), ``scope`` the scope of
those of the spectrum, and ``x`` the setting: ``rho``, ``rule.gamma``, ``imbalance``, ``lr``. Runs
that have no such setting are dashed levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from figures.output import COLOURS, MARKERS, PAGE, paper_style, write_figure
from figures.request import Request
from figures.runs.scalars import Read, one_split, read_scalars, scalar_label
from figures.runs.settings import (
    alike,
    differing,
    refuse_same_seeds,
    seed_note,
    setting_labels,
    setting_named,
    short_name,
)
from landscape.results import InputError

Array = NDArray[np.float64]
_COLUMN = 3.25  # inches
_DECADES = 100  # a wider span of a setting is drawn on a logarithmic axis


@dataclass(frozen=True)
class Line:
    """Runs that agree on all but the setting and the seed."""

    label: str
    x: tuple[Any, ...]  # (T,) values of the setting; empty for a level
    mean: Array  # (T, Y) over seeds; (1, Y) for a level
    std: Array  # (T, Y) over seeds, 0 for one


@dataclass(frozen=True)
class Sweep:
    """All lines of a request."""

    setting: str  # full name
    labels: tuple[str, ...]  # (Y,)
    lines: list[Line]
    ticks: tuple[str, ...]  # of a setting that is not a number, else empty

    @property
    def is_logarithmic(self) -> bool:
        """Whether the setting spans more than two decades."""
        values = [v for line in self.lines for v in line.x]
        return not self.ticks and min(values) > 0 and max(values) > _DECADES * min(values)

    def places(self, line: Line) -> list[float]:
        """Where a line's points stand on the axis (T,)."""
        return [self.ticks.index(str(v)) if self.ticks else float(v) for v in line.x]


def sweep(request: Request) -> Sweep:
    """Read the numbers of every run.

    Raises:
        InputError: a run lacks a result; the runs differ in several settings, in none, or not in
            the one asked for; or groups are split by different rules.
    """
    names = tuple(request.options.get("y", "overall").split(":"))
    scope = request.options.get("scope", (*request.scopes, "overall")[0])
    reads = [read_scalars(run, names, scope, request.checkpoint) for run in request.runs]
    split = one_split(reads)
    setting = _setting(reads, request.options.get("x"))
    swept = [read for read in reads if setting in read.settings]
    levels = [read for read in reads if setting not in read.settings]
    lines = _lines(swept, setting) + _lines(levels, None)
    values = sorted({v for line in lines for v in line.x}, key=_order)
    ticks = () if all(map(_is_number, values)) else tuple(map(str, values))
    if len(values) < 2:
        raise InputError(
            f"these runs all have {short_name(setting)} {values[0]}; give runs of several values"
        )
    labels = tuple(scalar_label(name, scope, split) for name in names)
    return Sweep(setting, labels, lines, ticks)


def draw(request: Request) -> Figure:
    """Draw the figure for paper: column width for one number, page width for several."""
    found = sweep(request)
    columns = min(len(found.labels), 3)
    rows = -(-len(found.labels) // columns)
    width = PAGE if columns > 1 else _COLUMN
    most = 4 if columns > 1 else 2
    size = (width, 2.1 * rows + 0.16 * -(-len(found.lines) // most))
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for spare in axes.flat[len(found.labels) :]:
        spare.set_visible(False)
    for y, (place, label) in enumerate(zip(axes.flat, found.labels, strict=False)):
        _draw_panel(place, found, y)
        place.set_ylabel(label)
        place.set_xlabel(short_name(found.setting).replace("_", " "))
    handles, names = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), most))
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    found = sweep(request)
    figure = make_subplots(1, len(found.labels))
    ends = _ends(found)
    for y, label in enumerate(found.labels):
        for k, line in enumerate(found.lines):
            places, mean, std = found.places(line), line.mean[:, y], line.std[:, y]
            if not line.x:
                places, mean, std = ends, np.repeat(mean, 2), np.repeat(std, 2)
            trace = go.Scatter(x=places, y=mean, error_y={"array": std}, name=line.label)
            trace.update(legendgroup=line.label, showlegend=y == 0, marker={"symbol": k % 8})
            dash = "solid" if line.x else "dash"
            trace.update(line={"color": COLOURS[k % len(COLOURS)], "dash": dash})
            points = "markers" if found.ticks else "lines+markers"
            trace.update(mode=points if line.x else "lines")
            trace.update(hovertemplate="%{x}: %{y:.4g} ± %{error_y.array:.2g}")
            figure.add_trace(trace, 1, y + 1)
        figure.update_yaxes(title_text=label, col=y + 1)
    name = short_name(found.setting).replace("_", " ")
    figure.update_xaxes(title_text=name, type="log" if found.is_logarithmic else "linear")
    if found.ticks:
        figure.update_xaxes(tickvals=list(range(len(found.ticks))), ticktext=found.ticks)
    return figure.update_layout(height=460, title=f"Sweep over {name}")


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "sweep", folder)


def _setting(reads: Sequence[Read], asked: str | None) -> str:
    if asked is not None:
        return setting_named(asked, (name for read in reads for name in read.settings))
    found: dict[str, None] = {}
    for method in dict.fromkeys(read.settings["method"] for read in reads):
        same = [read.settings for read in reads if read.settings["method"] == method]
        found |= dict.fromkeys(differing(same))
    numeric = [name for name in found if all(_is_number(v) for v in _values(reads, name))]
    for choice in (numeric, list(found)):
        if len(choice) == 1:
            return choice[0]
    if found:
        raise InputError(
            f"these runs differ in {', '.join(found)}; say which is swept: --options "
            f"x={next(iter(found))}"
        )
    raise InputError(
        "no two of these runs are of one method and differ in a setting; give runs of several "
        "values, such as those of --rho 0.1 and --rho 0.5"
    )


def _values(reads: Sequence[Read], name: str) -> list[Any]:
    return [read.settings[name] for read in reads if name in read.settings]


def _lines(reads: Sequence[Read], setting: str | None) -> list[Line]:
    """Join seeds; without a setting every group is a level."""
    but = () if setting is None else (setting,)
    groups = alike(reads, lambda read: read.settings, but)
    labels = setting_labels([group[0].settings for group in groups], but)
    found = []
    for label, group in zip(labels, groups, strict=True):
        points: dict[Any, list[Read]] = {}
        for read in group:
            points.setdefault(None if setting is None else read.settings[setting], []).append(read)
        x = tuple(sorted(points, key=_order))
        for members in points.values():
            refuse_same_seeds(read.origin for read in members)
        values = [np.array([read.values for read in points[v]]) for v in x]
        mean = np.stack([v.mean(axis=0) for v in values])
        std = np.stack([v.std(axis=0, ddof=1) if len(v) > 1 else 0 * v[0] for v in values])
        note = seed_note([len(v) for v in values])
        found.append(Line(f"{label}{note}", () if setting is None else x, mean, std))
    return found


def _draw_panel(axes: Axes, found: Sweep, y: int) -> None:
    for k, line in enumerate(found.lines):
        colour, mean, std = COLOURS[k % len(COLOURS)], line.mean[:, y], line.std[:, y]
        if not line.x:
            axes.axhline(mean[0], color=colour, ls="--", lw=0.9, label=line.label)
            axes.axhspan(mean[0] - std[0], mean[0] + std[0], color=colour, alpha=0.15, lw=0)
            continue
        style: dict[str, Any] = {"marker": MARKERS[k % len(MARKERS)], "label": line.label}
        style |= {"ls": "none" if found.ticks else "-", "yerr": std if std.any() else None}
        axes.errorbar(found.places(line), mean, color=colour, capsize=2, **style)
    if found.is_logarithmic:
        axes.set_xscale("log")
    if found.ticks:
        axes.set_xticks(range(len(found.ticks)), found.ticks)
        axes.margins(x=0.15)
    axes.margins(y=0.1)


def _ends(found: Sweep) -> list[float]:
    places = [place for line in found.lines for place in found.places(line)]
    return [min(places), max(places)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _order(value: Any) -> tuple[int, float, str]:
    return (0, float(value), "") if _is_number(value) else (1, 0.0, str(value))
