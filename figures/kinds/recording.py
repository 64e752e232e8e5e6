"""Draw λmax η/2 of each scope over a recorded training, against the edge of stability.

Plain gradient descent is stable on a quadratic where λmax η/2 is below 1, with momentum β below
1 + β; training hovers about that edge (Cohen et al. 2021, Sec. 3 and App. B). Of an optimiser that
scales its steps by itself no edge is drawn: it is that of the scaled matrix.
"""

import numpy as np

from figures.charts.class_colours import scope_colours
from figures.charts.grid import split_rows
from figures.charts.lines import Chart, Key
from figures.charts.panel import Axis, Line, Marker, Panel, Style, scope_markers
from figures.output import PAGE
from figures.request import Request
from figures.runs.history import Snapshot, snapshots
from landscape.results import InputError
from landscape.results.recording import Recording


def read(request: Request) -> Chart:
    """Read the recordings of every run.

    Raises:
        InputError: a run was not recorded, or its learning rate is not known.
    """
    found = snapshots(request.runs, Recording, "last")
    rows = split_rows([_panel(one, request.scopes) for one in found])
    note = "; ".join(f"{one.label}: {one.record.cost}" for one in found)
    return Chart(
        rows,
        "λmax η/2 over training, and the edge of stability",
        (PAGE if len(found) > 1 else 0.55 * PAGE, 1.9 * len(rows) + 0.5),
        320 * len(rows) + 80,
        key=Key(),
        note=note,
    )


def _panel(one: Snapshot[Recording], asked: tuple[str, ...]) -> Panel:
    record, step = one.record, one.record.step
    if not np.isfinite(record.stability).any():
        raise InputError(
            f"'{one.run.path}' has no learning rate or no spectrum in its recording; give the "
            "recorder's step the optimizer, and spectrum among its analyses"
        )
    names = [str(scope) for scope in record.scope]
    shown = [n for n in names if not asked or n in asked or "classes" in asked] or names
    lines = [
        _line(one, names.index(scope), shade, look)
        for scope, shade, look in zip(
            shown, scope_colours(shown), scope_markers(shown), strict=True
        )
    ]
    if np.isfinite(record.edge).any():
        style: Style = {"dash": "dash", "width": 0.8, "hover": "edge %{y:.3g}"}
        lines.append(Line("edge of stability", step, record.edge, "black", **style))
    y = Axis("λmax η / 2", scale="log", round_ticks=True, margin=0.1)
    return Panel(one.label, lines, Axis("step", whole=True), y)


def _line(one: Snapshot[Recording], at: int, shade: str, look: Marker) -> Line:
    record = one.record
    half = record.learning_rate / 2
    error = record.lambda_max_bound[:, at] * half
    label = one.scope_label(str(record.scope[at]))
    hover = "step %{x}: %{y:.3g}"
    return Line(
        *(label, record.step, record.stability[:, at], shade, look),
        error=np.stack([error, error]),
        hover=hover,
        marked=0 if len(record.step) > 40 else None,
    )
