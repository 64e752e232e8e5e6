"""Draw the similarity of head and tail features over training, with its shuffled baseline.

PLOT's supplement, Fig. 13c. Unrelated noise of n rows in d dimensions still scores about sqrt(d/n),
so a score says something only by its distance to the baseline, drawn dashed in the same colour.
"""

from collections.abc import Sequence

import numpy as np

from figures.charts.lines import Chart, Key
from figures.charts.panel import Axis, Line, Panel, Style, colour, marker, training
from figures.output import COLUMN
from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.history import History, histories
from landscape.results import InputError
from landscape.results.remedy import remedy
from landscape.results.similarity import Similarity

_MEASURES = {"cca": "CCA", "svcca": "SVCCA", "pwcca": "PWCCA", "cka": "linear CKA"}
_BASELINE = "baseline: the same with rows shuffled"


def read(request: Request) -> Chart:
    """Read the scores of every run by the option ``measure``.

    Raises:
        InputError: a run has no similarities, or they lack the measure.
    """
    measure = request.option("measure", tuple(_MEASURES))
    found = histories(request.runs, Similarity)
    notes = [_note(history.records) for history in found]
    shared = len(set(notes)) == 1
    lines = []
    for k, (history, note) in enumerate(zip(found, notes, strict=True)):
        name = history.label if shared else f"{history.label}\n({note})"
        lines += _lines(history, measure, name, k)
    said = f"; {notes[0]}" if shared else ""
    y = Axis(f"{_MEASURES[measure]} of head against tail")
    return Chart(
        [[Panel("", lines, training(*(history.unit for history in found)), y)]],
        f"Head-tail {_MEASURES[measure]} over training",
        (COLUMN, 2.8),
        480,
        key=Key(1, dashes={_BASELINE: "dash"}),
        note=f"bars: standard error over draws{said}",
    )


def _lines(history: History[Similarity], measure: str, name: str, k: int) -> list[Line]:
    """Describe the score of head against tail, and that with the rows of one side shuffled."""
    records = history.records
    rows = [_index(history.run, record, measure) for record in records]
    if np.isnan([record.head_tail for record in records]).all():
        raise InputError(
            f"'{history.run.path}' has no head-tail score (rows matched by {records[-1].paired}); "
            f"{remedy(history.run.path, 'similarity', 'all', ' --overwrite')}"
        )
    score, error, baseline = (
        np.array([getattr(record, field)[i] for record, i in zip(records, rows, strict=True)])
        for field in ("head_tail", "head_tail_sem", "head_tail_baseline")
    )
    at, shade, hover = history.at, colour(k), history.hover("%{y:.3f}")
    shuffled = f"{history.label}, shuffled"
    sparse: Style = {"width": 0.9, "sparse": True, "hover": hover}
    return [
        Line(name, at, score, shade, marker(k), error=error, **sparse),
        Line(shuffled, at, baseline, shade, dash="dash", key="page", **sparse),
    ]


def _index(run: RunResults, record: Similarity, measure: str) -> int:
    present = [str(name) for name in record.measure]
    if measure not in present:
        raise InputError(
            f"'{run.path}' holds no {measure}, only {', '.join(present)}; use --options "
            f"measure={present[0]}, or {remedy(run.path, 'similarity', 'all', ' --overwrite')}"
        )
    return present.index(measure)


def _note(records: Sequence[Similarity]) -> str:
    """Say how rows were matched, and n, d and draws."""
    matched = " and ".join(dict.fromkeys(str(record.paired) for record in records))
    rows, dimension, draws = (
        _span([int(getattr(record, name)) for record in records])
        for name in ("rows", "dimension", "draws")
    )
    return f"{matched}: n = {rows} rows a side, d = {dimension}, {draws} draws"


def _span(values: list[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}–{high}"
