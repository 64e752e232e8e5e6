"""Draw the spectra of head and tail on one axis, a panel a run, with the numbers of both below.

The negative side, where a loss curves down, is shaded and magnified. λmin and λmax are marked with
their brackets; a strip below says how many eigenvalues are proved negative, how large a share may
lie below a hundredth of the largest, the accuracy and the verdict.
"""

from dataclasses import dataclass, replace

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.charts.class_colours import class_colours
from figures.charts.densities import (
    End,
    density_axis,
    density_floor,
    density_line,
    density_of,
    eigenvalue_axis,
    end_mark,
    ends_of,
    far_label,
    far_negative,
)
from figures.charts.grid import split_rows
from figures.charts.lines import Chart
from figures.charts.panel import Axis, Line, Panel, Style
from figures.charts.paper_lines import draw_panel, finish_axes
from figures.output import COLUMN, PAGE, Drawing
from figures.request import Request
from figures.runs.history import Snapshot, snapshots
from figures.runs.labels import one_matrix
from landscape.results import InputError
from landscape.results.density import Density
from landscape.results.spectrum import Spectrum
from landscape.results.table import Table, percent

_DECADES = 3  # below the largest eigenvalue that are told apart
_BELOW = 1.6  # decades below the densities, where the ends are marked
_STRIP = 0.112  # height of a row of numbers, inches


@dataclass(frozen=True)
class ScopeNumbers:
    """One of both scopes of one run."""

    label: str
    density: Density | None
    ends: list[End]
    numbers: dict[str, str]  # of the strip
    is_down: bool  # an eigenvalue is proved negative


@dataclass(frozen=True)
class HeadTail(Drawing):
    """Both spectra of every run."""

    runs: list[tuple[str, list[ScopeNumbers]]]
    x: Axis
    y: Axis
    floor: float
    is_hessian: bool

    @property
    def finding(self) -> str:
        """Count the runs in which a scope is proved to curve down; only a Hessian says so."""
        if not self.is_hessian:
            return ""
        pairs = list(zip(*(pair for _, pair in self.runs), strict=True))
        counts = [
            f"{scope[0].label} in {sum(one.is_down for one in scope)} of {len(scope)}"
            for scope in pairs
        ]
        return f"the loss curves down, proved: {', '.join(counts)} runs"

    def draw(self) -> Figure:
        """Draw the figure for paper: column width for one run, page width for several."""
        rows = split_rows(self.runs)
        width = PAGE if len(self.runs) > 1 else COLUMN
        names = list(self.runs[0][1][0].numbers)
        strip = _STRIP * (len(names) + 1.5)
        size = (width, (1.75 + strip) * len(rows))
        heights = [1.75, strip] * len(rows)
        figure, axes = plt.subplots(
            2 * len(rows), len(rows[0]), figsize=size, squeeze=False, height_ratios=heights
        )
        for r, row in enumerate(rows):
            for c in range(len(rows[0])):
                place, below = axes[2 * r, c], axes[2 * r + 1, c]
                below.set_axis_off()
                if c >= len(row):
                    place.set_visible(False)
                    continue
                panel = self._panel(row[c], named=c == 0)
                draw_panel(place, panel)
                finish_axes(place, panel)
                place.axvspan(place.get_xlim()[0], 0, color="0.95", zorder=-1)
                _write_strip(below, row[c][1])
        return figure

    def page(self) -> go.Figure:
        """Build the interactive page."""
        rows = split_rows(self.runs)
        panels = [[self._panel(run, named=c == 0) for c, run in enumerate(row)] for row in rows]
        names = " and ".join(one.label for one in self.runs[0][1])
        title, said = f"Spectra of {names}", self.finding
        height = 440 * len(rows) + 80
        figure = Chart(panels, title, (PAGE, 2), height, share_y="row", note=said).page()
        for r, row in enumerate(rows, 1):
            for c in range(1, len(row) + 1):
                shade: Style = {"fillcolor": "#eeeeee", "line_width": 0, "layer": "below"}
                figure.add_vrect(-100, 0, row=r, col=c, **shade)
        return figure

    def numbers(self) -> Table:
        """List the strip's numbers, a column a scope."""
        columns = [(name, one) for name, pair in self.runs for one in pair]
        header = ("", *(f"{name}: {one.label}" for name, one in columns))
        names = list(columns[0][1].numbers)
        rows = tuple((name, *(one.numbers[name] for _, one in columns)) for name in names)
        return Table(header, rows, "λ as a bracket: proved inside, 99 % outside")

    def _panel(self, run: tuple[str, list[ScopeNumbers]], *, named: bool) -> Panel:
        lines: list[Line] = []
        for k, (one, shade) in enumerate(zip(run[1], class_colours(len(run[1])), strict=True)):
            if one.density is None:
                continue
            lines.append(density_line(one.density, shade, self.floor, label=one.label))
            row = self.floor / 10 ** (_BELOW * (k + 0.8) / (len(run[1]) + 0.6))
            lines += [end_mark(end, row, shade) for end in one.ends]
        y = self.y if named else replace(self.y, label="")
        return Panel(run[0], lines, self.x, y, zero=True, empty="no finite value")


def read(request: Request) -> HeadTail:
    """Read both spectra of every run: of head and tail, or of the two scopes asked for.

    Raises:
        InputError: a run lacks the result, or a result one of the scopes.
    """
    found = snapshots(request.spectrum_runs(), Spectrum, request.checkpoint)
    matrix = one_matrix([one.origin for one in found])
    scopes = request.scopes or _ends([one.record for one in found])
    runs = [(one.label, _pair(one, scopes)) for one in found]
    scaling = [_densities(one, scopes) for one in request.scaling()]
    own = [one.density for _, pair in runs for one in pair]
    every = [density for densities in scaling or [own] for density in densities]
    x = eigenvalue_axis(every, f"eigenvalue of the {matrix.name}", _DECADES)
    return HeadTail(
        runs,
        x,
        density_axis(every, room=0.5, below=_BELOW),
        density_floor(every),
        matrix.is_hessian,
    )


def _densities(request: Request, scopes: tuple[str, ...]) -> list[Density | None]:
    found = snapshots(request.spectrum_runs(), Spectrum, request.checkpoint)
    return [density_of(one.record, one.record.index(s)) for one in found for s in scopes]


def _ends(records: list[Spectrum]) -> tuple[str, ...]:
    """Choose head and tail, or else the first and the last class, that all runs have."""
    common = [
        str(name)
        for name in records[0].scope
        if all(str(name) in set(map(str, record.scope)) for record in records)
    ]
    if {"head", "tail"} <= set(common):
        return ("head", "tail")
    classes = sorted((n for n in common if n.startswith("class/")), key=lambda n: int(n[6:]))
    if len(classes) < 2:
        raise InputError(
            "these runs share neither head and tail nor two classes; diagnose them with --scopes "
            "head,tail"
        )
    return (classes[0], classes[-1])


def _pair(one: Snapshot[Spectrum], scopes: tuple[str, ...]) -> list[ScopeNumbers]:
    shares, data = one.run.judged(one.origin.checkpoint)
    name = f"{data} accuracy".strip()
    return [_numbers(one, s, (name, percent(shares.get(s, float("nan"))))) for s in scopes]


def _numbers(one: Snapshot[Spectrum], scope: str, accuracy: tuple[str, str]) -> ScopeNumbers:
    record, at = one.record, one.record.index(scope)
    high, low = record.end_texts(at)
    ratio = record.nonconvexity[at]
    numbers = {
        "λmin": low,
        "λmax": high,
        "|λmin / λmax|": f"{ratio:.2g}",
        "λ < 0, proved": _proved(record, at),
        far_label(): far_negative(record, at),
        accuracy[0]: accuracy[1],
        "verdict": str(record.verdict[at]) or "–",
    }
    drawn = density_of(record, at), ends_of(record, at)
    is_down = bool(record.lambda_min_bracket[at, 1] < 0)
    return ScopeNumbers(one.scope_label(scope), *drawn, numbers, is_down)


def _proved(record: Spectrum, at: int) -> str:
    """Say how many eigenvalues are proved negative, and of how many."""
    count, every = record.negative_directions[at], record.dimension[at]
    return "–" if np.isnan(count) else f"≥ {count:.0f} of {every:,.0f}"


def _write_strip(axes: Axes, pair: list[ScopeNumbers]) -> None:
    """Write the numbers below a panel, a column a scope in its colour."""
    names = list(pair[0].numbers)
    heights = 1 - (np.arange(len(names) + 1) + 0.5) / (len(names) + 1)
    style: Style = {"transform": axes.transAxes, "va": "center", "fontsize": 5.8}
    places = np.linspace(0.62, 0.98, len(pair))
    for name, height in zip(names, heights[1:], strict=True):
        axes.text(-0.02, height, name, color="0.35", **style)
    for one, place, shade in zip(pair, places, class_colours(len(pair)), strict=True):
        column = [one.label, *one.numbers.values()]
        for k, (text, height) in enumerate(zip(column, heights, strict=True)):
            weight = "bold" if k == 0 else "normal"
            axes.text(place, height, text, color=shade, ha="right", weight=weight, **style)
