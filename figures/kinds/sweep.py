"""Draw a number of each run against one setting: mean and deviation over seeds, a line a method.

The option ``y`` names the numbers (several by colons: ``y=overall:tail``), ``scope`` the scope of
the numbers of the spectrum, and ``x`` the setting: ``rho``, ``rule.gamma``, ``imbalance``, ``lr``.
Runs that have no such setting are dashed levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from figures.charts.grid import split_rows
from figures.charts.lines import Chart, Key
from figures.charts.panel import Axis, Line, Panel, Style, colour, marker
from figures.output import COLUMN, PAGE
from figures.request import Request
from figures.runs.scalars import Scalars, one_split, read_scalars, scalar_label
from figures.runs.settings import (
    alike,
    check_distinct_seeds,
    differing,
    seed_note,
    setting_labels,
    setting_named,
    short_name,
)
from landscape.results import InputError
from landscape.results.fields import Array
from landscape.results.table import with_error

_WIDE = 8  # largest value over least, from which a setting's axis is logarithmic
_APART = 0.08  # of the axis, between ticks
_GREEK = ("alpha", "beta", "gamma", "epsilon", "eta", "lambda", "mu", "rho", "sigma", "tau")
_LETTERS = dict(zip(_GREEK, "αβγεηλμρστ", strict=True))
_WORDS = {"lr": "learning rate", "imbalance": "imbalance, largest class over smallest"}


@dataclass(frozen=True)
class Series:
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
    lines: list[Series]
    ticks: tuple[str, ...]  # of a setting that is not a number, else empty

    @property
    def is_logarithmic(self) -> bool:
        """Whether the setting's values are of different sizes."""
        values = [v for line in self.lines for v in line.x]
        return not self.ticks and min(values) > 0 and max(values) >= _WIDE * min(values)

    @property
    def ends(self) -> Array:
        """The least and the greatest place on the axis."""
        places = [place for line in self.lines for place in self.places(line)]
        return np.array([min(places), max(places)])

    def axis(self) -> Axis:
        """Describe the axis of the setting, with ticks at the values that were tried."""
        label = setting_label(self.setting)
        if self.ticks:
            return Axis(label, ticks=(range(len(self.ticks)), self.ticks), margin=0.15)
        tried = sorted({float(v) for line in self.lines for v in line.x})
        logarithmic = self.is_logarithmic
        heights = np.log(tried) if logarithmic else np.array(tried)
        shown = [tried[0]]
        for value, height in zip(tried[1:], heights[1:], strict=True):
            before = heights[tried.index(shown[-1])]
            if height - before >= _APART * np.ptp(heights):
                shown.append(value)
        ticks = shown, [f"{value:g}" for value in shown]
        return Axis(label, scale="log" if logarithmic else "linear", ticks=ticks, bare=True)

    def places(self, line: Series) -> list[float]:
        """Place a line's points on the axis (T,)."""
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


def read(request: Request) -> Chart:
    """Read the numbers of every run, see :func:`sweep`."""
    found = sweep(request)
    rows = split_rows([_panel(found, y) for y in range(len(found.labels))])
    most = 4 if len(rows[0]) > 1 else 2
    keys = -(-len(found.lines) // most)
    has_spread = any(line.std.any() for line in found.lines)
    return Chart(
        rows,
        f"Sweep over {setting_label(found.setting).partition(',')[0]}",
        (PAGE if len(rows[0]) > 1 else COLUMN, 2.1 * len(rows) + 0.16 * keys + 0.12),
        460 * len(rows),
        key=Key(most),
        note="bars and bands: standard deviation over seeds" if has_spread else "",
    )


def _panel(found: Sweep, y: int) -> Panel:
    lines = [_line(found, series, k, y) for k, series in enumerate(found.lines)]
    return Panel("", lines, found.axis(), Axis(found.labels[y], margin=0.1))


def _line(found: Sweep, series: Series, k: int, y: int) -> Line:
    mean, std = series.mean[:, y], series.std[:, y]
    said = np.array([with_error(*pair) for pair in zip(mean, std, strict=True)])
    hover = "%{x}: %{customdata}"
    if not series.x:
        level: Style = {"dash": "dash", "across": True, "width": 0.9, "hover": hover}
        level["customdata"] = np.repeat(said, 2)
        ends = (found.ends, np.repeat(mean, 2))
        return Line(series.label, *ends, colour(k), error=np.repeat(std, 2), **level)
    style: Style = {"joined": not found.ticks, "error": std, "cap": 2, "hover": hover}
    style["customdata"] = said
    return Line(series.label, np.array(found.places(series)), mean, colour(k), marker(k), **style)


def setting_label(setting: str) -> str:
    """Name a setting for an axis: ``rule.rho`` is ρ."""
    name = short_name(setting)
    parts = (_LETTERS.get(part, part) for part in name.split("_"))
    return _WORDS.get(name) or " ".join(parts)


def _setting(reads: Sequence[Scalars], asked: str | None) -> str:
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


def _values(reads: Sequence[Scalars], name: str) -> list[Any]:
    return [read.settings[name] for read in reads if name in read.settings]


def _lines(reads: Sequence[Scalars], setting: str | None) -> list[Series]:
    """Join seeds; without a setting every group is a level."""
    but = () if setting is None else (setting,)
    groups = alike(reads, lambda read: read.settings, but)
    labels = setting_labels([group[0].settings for group in groups], but)
    found = []
    for label, group in zip(labels, groups, strict=True):
        points: dict[Any, list[Scalars]] = {}
        for read in group:
            points.setdefault(None if setting is None else read.settings[setting], []).append(read)
        x = tuple(sorted(points, key=_order))
        for members in points.values():
            check_distinct_seeds(read.origin for read in members)
        values = [np.array([read.values for read in points[v]]) for v in x]
        mean = np.stack([v.mean(axis=0) for v in values])
        std = np.stack([v.std(axis=0, ddof=1) if len(v) > 1 else 0 * v[0] for v in values])
        note = seed_note([len(v) for v in values])
        found.append(Series(f"{label}{note}", () if setting is None else x, mean, std))
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _order(value: Any) -> tuple[int, float, str]:
    return (0, float(value), "") if _is_number(value) else (1, 0.0, str(value))
