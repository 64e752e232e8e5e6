"""Draw λmax, λmin and trace over training: rows are quantities, columns runs, one line a scope.

Bars are the brackets of the ends, 99 % on their far side, and the standard error of the trace.
Values spread over decades as a network fits, so axes are logarithmic, and linear around 0 where a
row reaches it.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from figures.charts.class_lines import (
    MOST_ENDS,
    Read,
    lacking,
    scope_lines,
    shown_scopes,
    spectrum_histories,
    width_of,
)
from figures.charts.lines import Chart
from figures.charts.panel import Panel, training
from figures.charts.scales import scale_of
from figures.request import Request
from figures.runs.history import History
from landscape.results.fields import Array
from landscape.results.spectrum import Spectrum

_ROWS: dict[str, Callable[[Spectrum], tuple[Array, Array, Array]]] = {
    "λmax": lambda one: (one.lambda_max, *one.lambda_max_bracket.T),
    "λmin": lambda one: (one.lambda_min, *one.lambda_min_bracket.T),
    "trace": lambda one: (one.trace, one.trace - one.trace_sem, one.trace + one.trace_sem),
}


def read(request: Request) -> Chart:
    """Read the ends and the trace of every run.

    Raises:
        InputError: a run has no spectrum of any checkpoint, or none has a scope.
    """
    found, matrix = spectrum_histories(request)
    scopes = shown_scopes(found, request.scopes)
    rows = [_row(found, scopes, name) for name in _ROWS]
    return Chart(
        rows,
        f"{matrix.name}: ends and trace over training",
        (width_of(found), 1.7 * len(rows) + 0.3),
        260 * len(rows) + 80,
        heading="" if matrix.is_hessian else f"of the {matrix.name}",
        class_key=len(scopes) > MOST_ENDS,
        share_x="all",
        share_y="row",
        spacing=0.05,
        align_labels=True,
        note=lacking(found, scopes),
    )


def _row(found: list[History[Spectrum]], scopes: tuple[str, ...], name: str) -> list[Panel]:
    is_first, is_last = name == next(iter(_ROWS)), name == list(_ROWS)[-1]
    lines = [scope_lines(history, scopes, _reader(_ROWS[name])) for history in found]
    axis = scale_of(np.concatenate([line.y for panel in lines for line in panel]))
    return [
        Panel(
            history.label if is_first else "",
            lines[c],
            training(history.unit, named=is_last),
            replace(axis, label="" if c else name),
            reweighting=history.reweighting,
            names_reweighting=is_first,
        )
        for c, history in enumerate(found)
    ]


def _reader(columns: Callable[[Spectrum], tuple[Array, Array, Array]]) -> Read:
    def read_scope(record: Spectrum, at: int) -> tuple[float, float, float]:
        value, low, high = (float(column[at]) for column in columns(record))
        return value, low, high

    return read_scope
