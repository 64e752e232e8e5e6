"""Draw loss between two checkpoints, and the barrier of every class.

A row a run: the loss of overall, head, mid and tail along the straight line, the line to the other
end with its units permuted, and the curve of low loss; and the barriers of the classes, from head
to tail, with 95 % intervals over samples. The option ``quantity`` shows the accuracy instead.
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np

from figures.charts.class_colours import MOST_NAMED, head_to_tail, scope_colours
from figures.charts.lines import Chart, Key
from figures.charts.panel import Axis, Dash, Line, Panel, Style, colour, marker
from figures.output import PAGE
from figures.request import Request
from figures.runs.history import Snapshot, snapshots
from landscape.results.checkpoint_names import checkpoint_label
from landscape.results.path import Path
from landscape.results.table import with_error

Look = TypeVar("Look")
_SCOPES = ("overall", "head", "mid", "tail")
_DASHES: dict[str, Dash] = {"line": "dot", "aligned": "solid", "curve": "dash"}
_LOOKS = {kind: (marker(k), colour(k)) for k, kind in enumerate(_DASHES)}  # of the barriers
_NAMES = {"line": "plain line", "aligned": "units matched", "curve": "curve of low loss"}
_Z95 = 1.96
_QUANTITIES = {"loss": "barrier", "accuracy": "accuracy_drop"}


def read(request: Request) -> Chart:
    """Read the paths of every run.

    Raises:
        InputError: a run lacks the result, or the result a scope.
    """
    quantity = request.option("quantity", tuple(_QUANTITIES))
    found = snapshots(request.runs, Path, request.checkpoint)
    rows = [[_along(one, request, quantity), _of_classes(one, quantity)] for one in found]
    kinds = dict.fromkeys(str(kind) for one in found for kind in one.record.path)
    return Chart(
        rows,
        f"{quantity.capitalize()} between two checkpoints",
        (PAGE, 2.5 * len(rows) + 0.4),
        430 * len(rows),
        key=Key(7, dashes=_by_kind(kinds, _DASHES), marks=_by_kind(kinds, _LOOKS)),
        widths=(1.0, 1.1),
        note="; ".join(_note(one.record) for one in found[:1]),
        title_style={"fontsize": 6.5},
    )


def _by_kind(kinds: Iterable[str], looks: Mapping[str, Look]) -> dict[str, Look]:
    return {_NAMES[kind]: looks[kind] for kind in kinds}


def _along(one: Snapshot[Path], request: Request, quantity: str) -> Panel:
    record = one.record
    scopes = request.scopes or tuple(s for s in _SCOPES if s in record.scope)
    colours = dict(zip(scopes, scope_colours(scopes), strict=True))
    lines, straight = [], _straight(record)
    for j, kind in enumerate(map(str, record.path)):
        for scope in scopes:
            loss, accuracy = record.scope_curve(j, scope)
            name = one.scope_label(scope)
            style: Style = {"dash": _DASHES[kind], "width": 0.9, "marked": 0}
            lines.append(
                Line(
                    name if j == straight else f"{name}, {_NAMES[kind]}",
                    record.t,
                    loss if quantity == "loss" else 100 * accuracy,
                    colours[scope],
                    key="both" if j == straight else "none",
                    hover=f"{name}, {_NAMES[kind]}, t = %{{x:.3g}}: %{{y:.4g}}<extra></extra>",
                    **style,
                )
            )
    reached = str(record.to).rpartition("/")[2]
    title = f"{one.label}, {checkpoint_label(one.origin.checkpoint)}, to {reached}"
    y = Axis("loss" if quantity == "loss" else "accuracy, %")
    return Panel(title, lines, Axis("t, from this checkpoint to the other"), y)


def _of_classes(one: Snapshot[Path], quantity: str) -> Panel:
    record = one.record
    field = _QUANTITIES[quantity]
    unit = 1 if quantity == "loss" else 100
    order = [c for c in head_to_tail(record.training_count) if f"class/{c}" in record.scope]
    at = [record.scope.tolist().index(f"class/{c}") for c in order]
    places = np.arange(len(order), dtype=float)
    shift = 0.5 / max(len(record.path), 1)
    lines = []
    for j, kind in enumerate(map(str, record.path)):
        height = unit * getattr(record, field)[j][at]
        error = unit * _Z95 * getattr(record, f"{field}_sem")[j][at]
        x = places + shift * (j - (len(record.path) - 1) / 2)
        style: Style = {"joined": False, "error": np.nan_to_num(error), "key": "page"}
        mark, shade = _LOOKS[kind]
        lines.append(Line(_NAMES[kind], x, height, shade, mark, **style))
    every = 1 if len(order) <= MOST_NAMED else -(-len(order) // 10)
    ticks = (places[::every].tolist(), [str(record.class_name[c]) for c in order][::every])
    label = "barrier of the loss" if quantity == "loss" else "drop of the accuracy, points"
    x_axis = Axis("class, head to tail", ticks=ticks)
    top = max((float(np.nanmax(line.y + line.error, initial=0)) for line in lines), default=1.0)
    y_axis = Axis(label, limits=(None, 1.05 * top or None))
    return Panel(finding(record), lines, x_axis, y_axis, level=0)


def _straight(record: Path) -> int:
    """Position of the straight line between matched units, or of the one there is."""
    kinds = record.path.tolist()
    return kinds.index("aligned") if "aligned" in kinds else 0


def finding(record: Path) -> str:
    """Say how high the barriers of head and tail are on the best straight path.

    Args:
        record: the path.
    """
    kinds, j = record.path.tolist(), _straight(record)
    scopes = record.scope.tolist()
    pair = [s for s in ("head", "tail") if s in scopes] or ["overall"]
    said = []
    for scope in pair:
        k = scopes.index(scope)
        height, sem = float(record.barrier[j, k]), _Z95 * float(record.barrier_sem[j, k])
        seen = height > 0 and (np.isnan(sem) or height > sem)
        said.append(
            f"barrier of the {scope} {with_error(height, sem)}"
            if seen
            else f"no barrier of the {scope}{_at_most(height, sem)}"
        )
    matched = "units matched" if kinds[j] == "aligned" else "units as they are"
    return f"{matched}: " + ",\n".join(said)


def _at_most(height: float, sem: float) -> str:
    return f" (below {height + sem:.2g})" if height > 0 else ""


def _note(record: Path) -> str:
    moved = int(record.moved)
    said = "bars: 95 % over samples"
    if str(record.align) == "none":
        return said
    return f"{moved} of {record.units} units moved by matching; {said}"
