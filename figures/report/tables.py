"""Write the tables of a report: accuracies of all runs, and the records of each run."""

from html import escape
from typing import Any

from figures.catalogue import read_figure
from figures.pages.html import table_html
from figures.request import Request
from figures.runs.folder import RunResults
from landscape.results import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.features import Features
from landscape.results.gradients import Gradients
from landscape.results.result import table_of
from landscape.results.spectrum import Spectrum
from landscape.results.table import Table

_RECORDS: tuple[type[Any], ...] = (Spectrum, Accuracy, Gradients, Features)


def tables_html(request: Request) -> str:
    """Write a section of tables.

    Args:
        request: the runs and the checkpoint.
    """
    parts = "".join(_run_html(run, request.checkpoint) for run in request.runs)
    return f'<section id="tables"><h2>Tables</h2>{_accuracies(request)}{parts}</section>'


def _accuracies(request: Request) -> str:
    """Write the table of groups, mean and deviation over seeds."""
    try:
        text = read_figure("accuracy", request).tables()["md"]
    except InputError:
        return ""
    table, _, note = text.partition("\n\n")
    header, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()
    ]
    return table_html(Table(tuple(header), tuple(map(tuple, rows)), note.strip()))


def _run_html(run: RunResults, checkpoint: str) -> str:
    tables = "".join(_record_html(run, kind, checkpoint) for kind in _RECORDS)
    return (
        f"<details><summary><b>{escape(run.name)}</b></summary>{tables}</details>" if tables else ""
    )


def _record_html(run: RunResults, kind: type[Any], checkpoint: str) -> str:
    try:
        record, origin = run.load(kind, checkpoint)
    except InputError:
        return ""
    return table_html(table_of(record.with_provenance(origin)))
