"""Draw how two settings differ in every number of every class, paired over seeds.

Runs that differ only in their seed are one setting; there have to be two. A panel a number: the
second setting less the first, with its 95 % bootstrap interval over seeds, filled where the
difference is claimed after Holm's correction over all numbers of all classes. The option ``show``
names the numbers, such as ``accuracy.per_class:spectrum.lambda_max``; by default, those with most
claims. The table of all of them is written beside the figure.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from figures.charts.grid import split_rows
from figures.charts.lines import Chart
from figures.charts.panel import Axis, Line, Panel, Style
from figures.output import PAGE, Drawing
from figures.request import Request
from figures.runs.comparison import LEVEL, Difference, compared, numbers_of
from figures.runs.labels import scope_label
from figures.runs.markup import markdown_table
from figures.runs.settings import (
    check_same_data,
    flat_settings,
    seeds_joined,
    setting_labels,
    told_apart,
)
from landscape.results import InputError, unknown
from landscape.results.table import Table, bracket

_PANELS = 6
_LETTERS = {"overall": "a", "head": "h", "mid": "m", "tail": "t"}
_CLAIMS = {-1: ("lower", "#0072B2"), 1: ("higher", "#D55E00"), 0: ("not claimed", "#999999")}
_HEADER = ("number", "of", "first", "second", "difference", "95 %", "p (Holm)", "claimed")


@dataclass(frozen=True)
class Comparison(Drawing):
    """All differences of two settings."""

    chart: Chart
    found: list[Difference]
    labels: tuple[str, str]
    class_names: tuple[str, ...]

    def draw(self) -> Figure:
        """Draw the figure for paper, page width."""
        return self.chart.draw()

    def page(self) -> go.Figure:
        """Build the interactive page."""
        return self.chart.page()

    def numbers(self) -> Table:
        """List the differences that are claimed."""
        return self._table([one for one in self.found if one.claimed])

    def tables(self) -> dict[str, str]:
        """Write all differences as CSV and as Markdown."""
        table = self._table(self.found)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([table.header, *table.rows])
        return {"csv": text.getvalue(), "md": markdown_table(table.header, table.rows)}

    def _table(self, found: Sequence[Difference]) -> Table:
        names = [scope_label(one.scope, {"class_names": self.class_names}) for one in found]
        rows = [
            (
                one.number,
                name,
                f"{one.first:.4g}",
                f"{one.second:.4g}",
                f"{one.difference:+.4g}",
                bracket(one.low, one.high) if np.isfinite(one.low) else "–",
                f"{one.p:.2g}" if np.isfinite(one.p) else "–",
                "yes" if one.claimed else "",
            )
            for one, name in zip(found, names, strict=True)
        ]
        return Table(_HEADER, tuple(rows), self.chart.title)


def read(request: Request) -> Comparison:
    """Compare the two settings that the runs are of.

    Raises:
        InputError: there are not two settings, their data or seeds differ, or they have no result
            in common.
    """
    read = [numbers_of(run, request.checkpoint) for run in request.runs]
    check_same_data([one.origin for one in read], "comparisons")
    groups = seeds_joined(read, lambda one: one.origin)
    if len(groups) != 2:
        raise InputError(
            f"a comparison is of two settings, and these runs are of {len(groups)} (runs that "
            "differ only in their seed are one); give the runs of both: tailscape compare A-0 A-1 "
            "B-0 B-1"
        )
    firsts = [group[0] for group in groups]
    names = told_apart(
        setting_labels([flat_settings(one.origin.config["plan"]) for one in firsts]),
        [one.origin for one in firsts],
        [one.run for one in firsts],
    )
    found = compared(*groups)
    class_names = tuple(firsts[0].origin.config["class_names"])
    title = f"{names[1]} less {names[0]}: {finding(found)}"
    chart = _chart(found, _shown(found, request.options.get("show")), title, class_names)
    return Comparison(chart, found, (names[0], names[1]), class_names)


def finding(found: Sequence[Difference]) -> str:
    """Count what is claimed, or say why nothing can be.

    Args:
        found: all differences.
    """
    pairs = found[0].pairs
    if pairs == 1:
        return "one seed each, so no interval and no claim"
    claimed = sum(one.claimed for one in found)
    rule = f"({pairs} seeds, p < {LEVEL:g} after Holm)"
    if not claimed:
        return f"none of {len(found)} numbers can be claimed to differ {rule}"
    return f"{claimed} of {len(found)} numbers differ {rule}"


def _note(panels: Sequence[Panel], pairs: int) -> str:
    """Explain the bars, colours and letters that are drawn."""
    labels = {line.label for panel in panels for line in panel.lines}
    claimed, unclaimed = labels - {_CLAIMS[0][0]}, _CLAIMS[0][0] in labels
    said = ["bars: 95 % bootstrap over seeds"] if pairs > 1 else []
    colours = (["colours: claimed"] if claimed else []) + (
        ["grey: not claimed"] if unclaimed else []
    )
    said += [", ".join(colours)] if pairs > 1 else []
    shown = {text for panel in panels for text in (panel.x.ticks or ((), ()))[1]}
    letters = {letter: name for name, letter in _LETTERS.items() if letter in shown}
    if letters:
        said.append(f"{', '.join(letters)}: {', '.join(letters.values())}")
    return "; ".join(said)


def _shown(found: Sequence[Difference], asked: str | None) -> list[str]:
    """Choose the numbers drawn: those asked for, or the ones with most claims."""
    known = list(dict.fromkeys(one.number for one in found))
    if asked is None:
        claims = {n: sum(one.claimed for one in found if one.number == n) for n in known}
        return sorted(known, key=lambda n: -claims[n])[:_PANELS]
    for name in asked.split(":"):
        if name not in known:
            raise unknown("number", name, known)
    return asked.split(":")


def _chart(
    found: Sequence[Difference], shown: Sequence[str], title: str, class_names: Sequence[str]
) -> Chart:
    panels = [_panel([one for one in found if one.number == name], class_names) for name in shown]
    rows = split_rows(panels)
    return Chart(
        rows,
        title,
        (PAGE, 2.1 * len(rows) + 0.4),
        380 * len(rows),
        heading=title,
        note=_note(panels, found[0].pairs),
        title_style={"fontsize": 6.5},
    )


def _panel(found: Sequence[Difference], class_names: Sequence[str]) -> Panel:
    places = np.arange(len(found), dtype=float)
    signs = np.array([np.sign(one.difference) if one.claimed else 0 for one in found])
    lines = []
    for sign, (label, shade) in _CLAIMS.items():
        own = np.flatnonzero(signs == sign)
        if not len(own):
            continue
        chosen = [found[int(k)] for k in own]
        value = np.array([one.difference for one in chosen])
        ends = np.array([[one.low, one.high] for one in chosen]).T
        error = np.nan_to_num(np.abs(ends - value))
        style: Style = {"joined": False, "error": error}
        lines.append(Line(label, places[own], value, shade, ("o", 0), **style))
    every = -(-len(found) // 14)
    names = [one.scope.removeprefix("class/") for one in found]
    if len(found) > len(class_names):  # groups among many classes have room for a letter
        names = [_LETTERS.get(name, name) for name in names]
    elif all(name.isdigit() for name in names):
        names = [str(class_names[int(name)]) for name in names]
    axis = Axis("", ticks=(places[::every].tolist(), names[::every]))
    return Panel(found[0].number, lines, axis, Axis("difference"), level=0)
