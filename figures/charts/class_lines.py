"""Describe one line a class or a scope over training, coloured from head to tail."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from figures.charts.class_colours import MOST_NAMED, class_colours, head_to_tail
from figures.charts.grid import split_rows
from figures.charts.lines import Chart
from figures.charts.panel import Axis, Line, Panel, Style, marker
from figures.output import PAGE
from figures.request import Request
from figures.runs.history import History, histories
from figures.runs.labels import one_matrix
from landscape.results import InputError, unknown
from landscape.results.fields import Array
from landscape.results.matrix import MatrixSpec
from landscape.results.spectrum import Spectrum

Read = Callable[[Spectrum, int], tuple[float, float, float]]  # of a scope: value, ends of its bar
_MOST_LINES = 12  # scopes shown where none is asked for


def class_panels(
    request: Request, kind: type[Any], quantity: Callable[[Any], Array], y: Axis, **style: Any
) -> list[Panel]:
    """Read a quantity of each class over training, of every run.

    Args:
        request: its scopes may name classes, such as ``class/0``; the default is all.
        kind: of the records.
        quantity: from a record to the quantity (K,).
        y: the axis of the quantity.
        style: further fields of the panels.

    Raises:
        InputError: a run lacks the results, or a scope is no class.
    """
    return [
        Panel(
            history.label,
            _class_lines(history, request.scopes, quantity),
            Axis("epoch"),
            y,
            reweighting=history.reweighting,
            **style,
        )
        for history in histories(request.runs, kind)
    ]


def class_chart(panels: list[Panel], title: str) -> Chart:
    """Arrange one panel a run on one scale, page width.

    Args:
        panels: see :func:`class_panels`.
        title: of the page.
    """
    rows = rows_of_runs(panels)
    size, height = (PAGE, 2.1 * len(rows) + 0.6), 400 * len(rows) + 80
    spacing = 0.25 / len(rows)
    return Chart(rows, title, size, height, class_key=True, share_y="all", spacing=spacing)


def rows_of_runs(panels: list[Panel]) -> list[list[Panel]]:
    """Arrange panels in rows whose first one alone names the common axis."""
    return [
        [row[0], *(replace(panel, y=replace(panel.y, label="")) for panel in row[1:])]
        for row in split_rows(panels)
    ]


def check_same_classes(panels: list[Panel]) -> None:
    """Check that all runs have the same classes.

    Raises:
        InputError: their classes differ.
    """
    if len({tuple(line.label for line in panel.lines) for panel in panels}) > 1:
        raise InputError("these runs have different classes; draw them one by one")


def spectrum_histories(request: Request) -> tuple[list[History[Spectrum]], MatrixSpec]:
    """Read the spectra of every run, of option ``matrix``.

    Raises:
        InputError: a run has no spectrum of any epoch, or they are of different matrices.
    """
    found = histories(request.spectrum_runs(), Spectrum)
    return found, one_matrix([origin for history in found for origin in history.origins])


def scope_lines(history: History[Spectrum], scopes: Sequence[str], read: Read) -> list[Line]:
    """Follow a number of each scope of a run over training, with its error bars.

    Args:
        history: the spectra.
        scopes: to show; by default every class if they are few, or else the groups.
        read: from a spectrum and the index of a scope to the number and the ends of its bar, NaN
            where nothing is known of them.
    """
    shown = scopes or _default_scopes(history.records[-1])
    found = []
    for k, (scope, shade) in enumerate(zip(shown, class_colours(len(shown)), strict=True)):
        read_all = [read(record, record.index(scope)) for record in history.records]
        values, low, high = np.array(read_all, dtype=np.float64).T
        bars = np.stack([values - low, high - values]).clip(min=0)
        bars[~np.isfinite(bars)] = 0
        style: Style = {"marker": marker(k), "error": bars, "width": 0.9}
        label = history.scope_label(scope)
        found.append(Line(label, history.epochs, values, shade, **style))
    return found


def _class_lines(
    history: History[Any], scopes: Sequence[str], quantity: Callable[[Any], Array]
) -> list[Line]:
    order = head_to_tail(history.records[-1].training_count)
    colours = dict(zip(order, class_colours(len(order)), strict=True))
    shown = _shown(scopes, order)
    values = np.stack([quantity(record)[shown] for record in history.records], axis=1)
    named = len(shown) <= MOST_NAMED
    return [
        Line(
            history.scope_label(f"class/{c}"),
            history.epochs,
            row,
            colours[c],
            marker=marker(k),
            marked=None if named else 0,
            width=0.9,
            hover="epoch %{x}: %{y:.3g}",
        )
        for k, (c, row) in enumerate(zip(shown, values, strict=True))
    ]


def _shown(scopes: Sequence[str], order: list[int]) -> list[int]:
    known = {f"class/{c}": c for c in order}
    for scope in scopes:
        if scope not in known and scope != "classes":
            raise unknown("scope of a figure of single classes", scope, [*known, "classes"])
    asked = {known[scope] for scope in scopes if scope in known}
    return [c for c in order if not scopes or "classes" in scopes or c in asked]


def _default_scopes(record: Spectrum) -> tuple[str, ...]:
    """Choose every class when they are few, and groups otherwise."""
    names = [str(name) for name in record.scope]
    classes = [name for name in names if name.startswith("class/")]
    if 0 < len(classes) <= _MOST_LINES:
        return tuple(classes)
    return tuple(n for n in names if n in {"head", "mid", "tail"}) or tuple(names[:_MOST_LINES])
