"""The accuracies of a sweep, over seeds: a table for the terminal, Markdown and CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from rich.table import Table

from cli.sweeps.state import RunState
from figures.runs.markup import markdown_table
from trainers.runs.folder import RunFolder

_GROUPS = ("accuracy", "head", "mid", "tail")


@dataclass(frozen=True)
class Row:
    """Runs that differ only in their seed."""

    varied: dict[str, str]
    seeds: int
    shares: dict[str, str]  # last epoch, per cent; "best" is of the test set itself
    seconds: float  # of training, mean

    def cells(self, names: Sequence[str]) -> list[str]:
        """Format the columns of :func:`header`."""
        own = [self.varied.get(name, "") for name in names]
        return [*own, str(self.seeds), *self.shares.values(), f"{self.seconds:.0f}"]


def header(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Name the columns: those in which runs differ, and all of them."""
    names = list(dict.fromkeys(name for row in rows for name in row.varied))
    groups = ["overall", "head", "mid", "tail", "best on test"]
    return names, [*names, "seeds", *(f"{g} %" for g in groups), "seconds"]


def accuracy_rows(states: Sequence[RunState]) -> list[Row]:
    """Sum up the trained runs, joined over their seeds, in the order of the sweep."""
    groups: dict[tuple[tuple[str, str], ...], list[RunState]] = {}
    for state in states:
        if state.is_trained:
            groups.setdefault(tuple(state.run.varied.items()), []).append(state)
    return [_row(dict(varied), members) for varied, members in groups.items()]


def terminal_table(rows: Sequence[Row]) -> Table:
    """Build the table for a terminal."""
    names, columns = header(rows)
    table = Table(box=None, caption="test set, last epoch; best on test looks at the test set")
    for column in columns:
        table.add_column(column, justify="left" if column in names else "right")
    for row in rows:
        table.add_row(*row.cells(names))
    return table


def markdown(rows: Sequence[Row]) -> str:
    """Format the table in Markdown."""
    names, columns = header(rows)
    numbers = [column for column in columns if column not in names]
    return markdown_table(columns, [row.cells(names) for row in rows], numbers)


def comma_separated(rows: Sequence[Row]) -> str:
    """Format the table as CSV."""
    names, columns = header(rows)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *(r.cells(names) for r in rows)])
    return text.getvalue()


def _row(varied: dict[str, str], members: Sequence[RunState]) -> Row:
    every: dict[str, list[float]] = {name: [] for name in (*_GROUPS, "best")}
    seconds: list[float] = []
    for state in members:
        assert state.run.config.out is not None
        metrics = RunFolder(state.run.config.out).metrics()
        judged = [entry for entry in metrics if "test_accuracy" in entry]
        for name in _GROUPS:
            if judged[-1][f"test_{name}"] is not None:
                every[name].append(100 * judged[-1][f"test_{name}"])
        every["best"].append(100 * max(entry["test_accuracy"] for entry in judged))
        seconds.append(sum(entry["seconds"] for entry in metrics))
    return Row(varied, len(members), {n: _spread(v) for n, v in every.items()}, fmean(seconds))


def _spread(values: Sequence[float]) -> str:
    """Format the mean and, over several seeds, the standard deviation."""
    if not values:
        return "–"
    mean = f"{fmean(values):.1f}"
    return f"{mean} ± {stdev(values):.1f}" if len(values) > 1 else mean
