"""Describe one line a class, a group or another scope over training, coloured head to tail."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from figures.charts.class_colours import (
    MOST_NAMED,
    class_colours,
    head_to_tail,
    scope_colours,
)
from figures.charts.grid import split_rows
from figures.charts.lines import Chart
from figures.charts.panel import Axis, Line, Panel, Style, scope_markers, training
from figures.output import COLUMN, PAGE
from figures.request import Request
from figures.runs.history import History, histories
from figures.runs.labels import one_matrix
from landscape.results import InputError, unknown
from landscape.results.fields import Array
from landscape.results.matrix import MatrixSpec
from landscape.results.result import scope_members
from landscape.results.spectrum import Spectrum

Read = Callable[[Spectrum, int], tuple[float, float, float]]  # of a scope: value, ends of its bar
_GROUPS = ("head", "mid", "tail")
_MOST_LINES = 12  # scopes shown where none is asked for
MOST_ENDS = 12  # lines that are named at their ends


@dataclass(frozen=True)
class ClassQuantity:
    """A quantity of each class, and what a group of classes has of it."""

    of: Callable[[Any], Array]  # from a record to (K,)
    of_group: Callable[[Array], float] = np.nanmean
    has_range: bool = True  # a band from the least class of the group to the greatest


def class_panels(
    request: Request, kind: type[Any], quantity: ClassQuantity, y: Axis, **style: Any
) -> list[Panel]:
    """Read a quantity of the groups, or of classes, over training, of every run.

    Args:
        request: its scopes may name groups and classes, such as ``class/0``, or all ``classes``;
            the default is the groups.
        kind: of the records.
        quantity: from a record to the quantity (K,).
        y: the axis of the quantity.
        style: further fields of the panels.

    Raises:
        InputError: a run lacks the results, or a scope is not known.
    """
    return [
        Panel(
            history.label,
            _class_lines(history, request.scopes, quantity),
            training(history.unit),
            y,
            reweighting=history.reweighting,
            **style,
        )
        for history in histories(request.runs, kind)
    ]


def class_chart(panels: list[Panel], title: str) -> Chart:
    """Arrange one panel a run on one scale.

    Args:
        panels: see :func:`class_panels`.
        title: of the page.
    """
    rows = rows_of_runs(panels)
    size, height = (width_of(panels), 2.1 * len(rows) + 0.4), 400 * len(rows) + 80
    spacing = 0.25 / len(rows)
    has_band = any(line.band is not None for panel in panels for line in panel.lines)
    many = max(len(panel.lines) for panel in panels) > MOST_ENDS
    note = "line: mean of a group's classes; band: their range" if has_band else ""
    scale: Style = {"share_y": "all", "spacing": spacing, "note": note}
    return Chart(rows, title, size, height, class_key=many, **scale)


def width_of(panels: Sequence[Any]) -> float:
    """Choose column width for one panel, and page width for several, in inches."""
    return PAGE if len(panels) > 1 else COLUMN


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


def shown_scopes(found: Sequence[History[Spectrum]], asked: Sequence[str]) -> tuple[str, ...]:
    """Choose the scopes of all panels: those asked for, or else groups, or else classes if few.

    Where none is asked for, those that every checkpoint has are preferred.

    Args:
        found: spectra over training, whose checkpoints need not have the same scopes.
        asked: scopes, ``classes`` for each.

    Raises:
        InputError: a scope asked for is in none of the spectra.
    """
    records = [record for history in found for record in history.records]
    names = list(dict.fromkeys(str(name) for record in records for name in record.scope))
    classes = sorted((n for n in names if n.startswith("class/")), key=lambda n: int(n[6:]))
    for scope in asked:
        if scope not in names and scope != "classes":
            raise unknown("scope of these spectra", scope, [*names, "classes"])
    if asked:
        every = (one for name in asked for one in (classes if name == "classes" else [name]))
        return tuple(dict.fromkeys(every))
    common = [n for n in names if all(n in set(map(str, record.scope)) for record in records)]
    known = common or names
    groups = tuple(name for name in _GROUPS if name in known)
    few = tuple(name for name in classes if name in known)[:_MOST_LINES]
    return groups or few or tuple(known[:_MOST_LINES])


def lacking(found: Sequence[History[Spectrum]], scopes: Sequence[str]) -> str:
    """Name what some checkpoints lack of the scopes and groups, in words; empty where none does."""
    present = {str(name) for history in found for one in history.records for name in one.scope}
    wanted = dict.fromkeys((*scopes, *(name for name in _GROUPS if name in present)))
    missing: dict[str, list[str]] = {}
    for history in found:
        for scope in wanted:
            without = [
                int(at)
                for at, record in zip(history.at, history.records, strict=True)
                if scope not in set(map(str, record.scope))
            ]
            if without:
                plural = "s" if len(without) > 1 else ""
                numbers = ", ".join(map(str, without))
                where = f"{history.label} at {history.unit}{plural} {numbers}"
                missing.setdefault(where, []).append(history.scope_label(scope))
    return "; ".join(f"no {', '.join(names)} in {where}" for where, names in missing.items())


def scope_lines(history: History[Spectrum], scopes: Sequence[str], read: Read) -> list[Line]:
    """Follow a number of each scope of a run over training, with its error bars.

    Args:
        history: the spectra; a scope's line has the checkpoints that have the scope.
        scopes: to show, see :func:`shown_scopes`.
        read: from a spectrum and the index of a scope to the number and the ends of its bar, NaN
            where nothing is known of them.
    """
    found = []
    looks = zip(scopes, scope_colours(scopes), scope_markers(scopes), strict=True)
    for scope, shade, mark in looks:
        read_all = [
            (at, *read(record, record.index(scope)))
            for at, record in zip(history.at, history.records, strict=True)
            if scope in set(map(str, record.scope))
        ]
        at, values, low, high = np.array(read_all, dtype=np.float64).reshape(-1, 4).T
        bars = np.stack([values - low, high - values]).clip(min=0)
        bars[~np.isfinite(bars)] = 0
        style: Style = {"marker": mark, "error": bars, "width": 0.9, "sparse": True}
        style |= {"hover": history.hover("%{y:.3g}"), "end": _short(scope, len(scopes))}
        label = history.scope_label(scope)
        found.append(Line(label, at, values, shade, **style))
    return found


def _class_lines(
    history: History[Any], scopes: Sequence[str], quantity: ClassQuantity
) -> list[Line]:
    counts = history.records[-1].training_count
    order = head_to_tail(counts)
    shown, shades = _shown(history, scopes, order), class_colours(len(order))
    colours = {f"class/{c}": shade for c, shade in zip(order, shades, strict=True)}
    colours |= dict(zip(_GROUPS, scope_colours(_GROUPS), strict=True))
    colours["overall"] = scope_colours(("overall",))[0]
    per_class = np.stack([quantity.of(record) for record in history.records])  # (T, K)
    found = []
    marks = scope_markers(list(shown))
    for (scope, members), mark in zip(shown.items(), marks, strict=True):
        own = per_class[:, list(members)]
        is_class = len(members) == 1 and scope.startswith("class/")
        known = np.isfinite(own).any(axis=1)
        values = np.full(len(own), np.nan)
        values[known] = [quantity.of_group(row) for row in own[known]]
        style: Style = {"marker": mark, "width": 0.9, "sparse": True}
        style["hover"] = history.hover("%{y:.3g}")
        style["end"] = _short(scope, len(shown))
        if len(shown) > MOST_NAMED:
            style |= {"marked": 0, "width": 0.5}
        if not is_class and quantity.has_range:
            style |= {"band": _range(own), "shade": (0.12, 0.1)}
        label = history.scope_label(scope)
        found.append(Line(label, history.at, values, colours[scope], **style))
    return found


def _range(values: Array) -> tuple[Array, Array]:
    """Find the least and the greatest of each row (T, K) that are known."""
    finite = np.isfinite(values)
    none = ~finite.any(axis=1)
    low = np.where(finite, values, np.inf).min(axis=1)
    high = np.where(finite, values, -np.inf).max(axis=1)
    return np.where(none, np.nan, low), np.where(none, np.nan, high)


def _short(scope: str, shown: int) -> str:
    """Name a scope at the end of its line; nothing where there is no room."""
    return scope.replace("class/", "class ") if shown <= MOST_ENDS else ""


def _shown(
    history: History[Any], scopes: Sequence[str], order: list[int]
) -> dict[str, tuple[int, ...]]:
    """Find the classes of each scope; single classes come last, from head to tail."""
    every = [f"class/{c}" for c in order]
    groups = [name for name in scopes if name != "classes" and name not in every]
    classes = [name for name in every if "classes" in scopes or name in scopes]
    counts = history.records[-1].training_count
    found, split = {}, np.array(_split(history) or "")
    for scope in (*groups, *classes) if scopes else _GROUPS:
        try:
            found[scope] = scope_members(scope, counts, np.ones_like(counts), split)
        except InputError:  # a split may leave a group empty
            if scopes:
                raise
    return found


def _split(history: History[Any]) -> Any:
    """Read the rule of the groups: what was asked for at the diagnosis, or in training."""
    config = history.origins[-1].config
    return config.get("diagnose", {}).get("split") or config["plan"].get("split")
