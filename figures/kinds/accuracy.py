"""Draw the accuracy: each class from head to tail, and the groups; also as a table.

Runs that differ only in their seed are one row, with mean and standard deviation. Option ``on``
names other images on which accuracy was judged (``diagnose --eval``).
"""

import csv
import io
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from figures.charts.grid import page_grid, paper_grid
from figures.charts.panel import Style, colour, marker
from figures.output import HATCHES, PAGE, Drawing
from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.labels import run_labels
from figures.runs.markup import markdown_table, tex_text
from figures.runs.scalars import GROUPS
from figures.runs.settings import seeds_joined
from landscape.results import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.fields import Array
from landscape.results.provenance import Provenance

COLUMNS = (*GROUPS, "worst", "ECE")
_MOST_TICKED = 20  # classes that each have a tick
_MOST_LABELLED = 3  # bars a group that still leave room for numbers


@dataclass(frozen=True)
class _Loaded:
    run: RunResults
    record: Accuracy
    origin: Provenance


@dataclass(frozen=True)
class Row:
    """One setting: the runs that differ only in their seed."""

    label: str
    split: str
    counts: Array  # (K,) training samples
    per_class: Array  # (seeds, K) per cent
    group: Array  # (seeds, 4) per cent: overall, head, mid, tail
    further: Array  # (seeds, 2) per cent: worst class, expected calibration error
    judged: str = "test"  # or training

    @property
    def columns(self) -> Array:
        """The columns of the table (seeds, 6), per cent."""
        return np.concatenate([self.group, self.further], axis=1)

    def cells(self) -> list[str]:
        """Format the mean and, over several seeds, the standard deviation of each column."""
        mean = self.columns.mean(axis=0)
        if len(self.group) == 1:
            return [_number(m) for m in mean]
        return [
            f"{_number(m)} ± {_number(s)}"
            for m, s in zip(mean, self.columns.std(axis=0, ddof=1), strict=True)
        ]


@dataclass(frozen=True)
class AccuracyFigure(Drawing):
    """The accuracies of all settings."""

    rows: list[Row]
    on: str = "test"  # the images judged

    @property
    def finding(self) -> str:
        """The accuracies overall and of the tail."""
        said = []
        for row in self.rows:
            whole, *_, tail = row.group.mean(axis=0)
            of_tail = "" if np.isnan(tail) else f", tail {tail:.1f} %"
            said.append(f"{row.label}: {whole:.1f} %{of_tail}")
        return "; ".join(said)

    @property
    def label(self) -> str:
        """Label of the accuracies."""
        return f"{self.on} accuracy, %"

    @property
    def group_label(self) -> str:
        """Label of the axis of groups."""
        return f"group (split '{self.rows[0].split}')"

    @property
    def _low(self) -> float:
        """The lower end of the classes' axis, which differences are read on; bars begin at 0."""
        least = min(float(np.nanmin(row.per_class, initial=100)) for row in self.rows)
        return max(10 * (least // 10) - 10, 0)

    def draw(self) -> Figure:
        """Draw the figure for paper, page width."""
        style: Style = {"width_ratios": [3, 2]}
        figure, ((left, right),) = paper_grid([[0, 1]], (PAGE, 2.7), **style)
        classes, count = np.arange(len(self.rows[0].counts)), len(self.rows)
        for k, row in enumerate(self.rows):
            look: Style = {"color": colour(k), "marker": marker(k)[0], "label": row.label}
            mean, bars = row.per_class.mean(axis=0), _bars(row.per_class)
            left.errorbar(classes, mean, yerr=bars, capsize=2, **look)
            drawn = _draw_bars(right, row, k, count)
            if count <= _MOST_LABELLED:
                right.bar_label(drawn, fmt="%.1f" if count < 3 else "%.0f", fontsize=5, padding=1)
        left.set_ylabel(self.label)
        _tick_classes(left, self.rows)
        right.set_xticks(np.arange(4), GROUPS)
        right.set_xlabel(self.group_label)
        left.set_ylim(self._low, 102)
        right.set_ylim(0, 105)
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
        return figure

    def page(self) -> go.Figure:
        """Build the interactive page."""
        figure = page_grid([[0, 1]], [], column_widths=[0.6, 0.4])
        for k, row in enumerate(self.rows):
            for c, trace in enumerate(_traces(row, k), 1):
                figure.add_trace(trace, 1, c)
        figure.update_yaxes(title_text=self.label, range=[self._low, 102], col=1)
        figure.update_yaxes(range=[0, 105], col=2)
        figure.update_xaxes(title_text=_class_label(self.rows), row=1, col=1)
        figure.update_xaxes(title_text=self.group_label, row=1, col=2)
        title = f"Accuracy on {self.on}{' data' if 'training' in self.on else ''}"
        return figure.update_layout(height=460, barmode="group", title=title)

    def tables(self) -> dict[str, str]:
        """Format groups, worst class and calibration error as Markdown, LaTeX and CSV."""
        found = self.rows
        return {"md": markdown(found), "tex": latex(found), "csv": comma_separated(found)}


def read(request: Request) -> AccuracyFigure:
    """Read the accuracies of every run, see :func:`rows`."""
    found = rows(request)
    judged = " and ".join(dict.fromkeys(row.judged for row in found))
    return AccuracyFigure(found, request.options.get("on", judged))


def rows(request: Request) -> list[Row]:
    """Read the accuracies of every run and join seeds.

    Raises:
        InputError: a run lacks the result or is given twice, or the runs have different classes or
            splits.
    """
    loaded = [
        _Loaded(run, *run.load(Accuracy, request.checkpoint)) for run in request.accuracy_runs()
    ]
    groups = seeds_joined(loaded, lambda one: one.origin)
    firsts = [group[0] for group in groups]
    labels = run_labels([one.origin for one in firsts], [one.run for one in firsts])
    judged = [one.record.judged_on(one.origin) for one in firsts]
    if len(set(judged)) > 1:
        labels = [f"{label}, {on} data" for label, on in zip(labels, judged, strict=True)]
    found = [_row(label, group) for label, group in zip(labels, groups, strict=True)]
    if len({len(row.counts) for row in found}) > 1:
        raise InputError("these runs have different numbers of classes; draw them one by one")
    if len({row.split for row in found}) > 1:
        raise InputError(
            "these runs' groups are split by different rules; diagnose them with one --split"
        )
    return found


def markdown(found: list[Row]) -> str:
    """Format the table as Markdown."""
    rows = [(row.label, *row.cells()) for row in found]
    return f"{markdown_table(('method', *COLUMNS), rows, COLUMNS)}\n{_note(found)}\n"


def latex(found: list[Row]) -> str:
    """Format the table as LaTeX, with booktabs rules."""
    columns = "r" * len(COLUMNS)
    lines = [rf"\begin{{tabular}}{{l{columns}}}", r"\toprule"]
    lines.append(f"method & {' & '.join(COLUMNS)} \\\\")
    lines.append(r"\midrule")
    for row in found:
        cells = " & ".join(f"${cell.replace('±', chr(92) + 'pm')}$" for cell in row.cells())
        lines.append(f"{tex_text(row.label)} & {cells} \\\\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", f"% {_note(found)}", ""])


def comma_separated(found: list[Row]) -> str:
    """Format the table as CSV: mean and standard deviation of each column."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    header = [f"{name}_{moment}" for name in COLUMNS for moment in ("mean", "std")]
    writer.writerow(["method", "seeds", "split", *header])
    for row in found:
        pairs = zip(row.columns.mean(axis=0), _std(row.columns), strict=True)
        values = [f"{value:.4f}" if np.isfinite(value) else "" for pair in pairs for value in pair]
        writer.writerow([row.label, len(row.group), row.split, *values])
    return buffer.getvalue()


def _draw_bars(axes: Axes, row: Row, k: int, count: int) -> BarContainer:
    at = np.arange(4) + (k - (count - 1) / 2) * 0.8 / count
    style: Style = {"color": colour(k), "edgecolor": "white", "hatch": HATCHES[k % len(HATCHES)]}
    return axes.bar(at, row.group.mean(axis=0), 0.8 / count, yerr=_bars(row.group), **style)


def _traces(row: Row, k: int) -> tuple[go.Scatter, go.Bar]:
    points = go.Scatter(
        x=list(range(len(row.counts))),
        y=row.per_class.mean(axis=0),
        error_y={"array": _bars(row.per_class)},
        customdata=row.counts,
        hovertemplate="class %{x}: %{y:.1f} %<br>%{customdata} training samples",
        name=row.label,
        line={"color": colour(k)},
        marker={"symbol": marker(k)[1]},
        mode="lines+markers",
    )
    bars = go.Bar(
        x=list(GROUPS),
        y=row.group.mean(axis=0),
        error_y={"array": _bars(row.group)},
        name=row.label,
        showlegend=False,
        marker={"color": colour(k)},
    )
    return points, bars


def _class_label(found: list[Row]) -> str:
    """Label the axis of classes, which stand by their numbers."""
    falls = all((np.diff(row.counts) <= 0).all() for row in found)
    return "class, head to tail" if falls else "class"


def _tick_classes(axes: Axes, found: list[Row]) -> None:
    """Number the classes if they are few, with their samples where all rows have the same."""
    counts = found[0].counts
    few = len(counts) <= _MOST_TICKED
    counted = few and all(np.array_equal(row.counts, counts) for row in found)
    axes.set_xlabel("class, with training samples" if counted else _class_label(found))
    if few:
        ticks = [f"{c}\n{int(n)}" if counted else str(c) for c, n in enumerate(counts)]
        axes.set_xticks(range(len(counts)), ticks)


def _row(label: str, members: list[_Loaded]) -> Row:
    first = members[0].record
    seeds = f" ({len(members)} seeds)" if len(members) > 1 else ""
    return Row(
        f"{label}{seeds}",
        str(first.split),
        first.training_count,
        100 * np.stack([one.record.per_class for one in members]),
        100 * np.stack([one.record.group for one in members]),
        100 * np.array([[one.record.worst, one.record.ece[0]] for one in members]),
        members[0].record.judged_on(members[0].origin),
    )


def _std(values: Array) -> Array:
    """Take the standard deviation over seeds, which one seed has none of."""
    return values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1], np.nan)


def _bars(values: Array) -> Array | None:
    """Take the lengths of error bars over seeds, if there are any."""
    return _std(values) if len(values) > 1 else None


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.1f}"


def _note(found: list[Row]) -> str:
    judged = dict.fromkeys(row.judged for row in found)
    on = "" if set(judged) == {"test"} else f" on {' and '.join(judged)} data"
    return (
        f"Accuracy in per cent{on}; groups by split '{found[0].split}'; worst: of the worst "
        "class; ECE: expected calibration error, 15 bins."
    )
