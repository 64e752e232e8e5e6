"""Draw quality, separation and log-variance of features over training (GKP-GSA Fig. 2).

Rows are the quantities, columns runs. Each value is the mean over a group's classes, so that the
rows add up: Q = Dist - β log Var holds for groups as for classes.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from figures.charts.class_colours import scope_colours
from figures.charts.lines import Chart
from figures.charts.panel import Axis, Line, Panel, Style, scope_markers, training
from figures.output import COLUMN, PAGE
from figures.request import Request
from figures.runs.history import History, histories
from landscape.results.features import Features
from landscape.results.fields import Array

_FIELDS = {"paper": "quality", "released": "quality_released"}
_FLAT = 2.5  # greatest value over the median, from which a scale is logarithmic
_FORMULAS = {"paper": "Dist − β log Var", "released": "−1/Dist − log Var"}


def read(request: Request) -> Chart:
    """Read the features of every run; the option ``formula`` picks the quality.

    Raises:
        InputError: a run has no features, or a scope no class with samples.
    """
    formula = request.option("formula", tuple(_FIELDS))
    found = histories(request.runs, Features)
    scopes = request.scopes or _default_scopes([r for history in found for r in history.records])
    names = (
        f"quality\n{_FORMULAS[formula]}",
        "separation Dist\n(to nearest centroid)",
        "log-variance\nlog Var",
    )
    values = [_values(history, scopes, _FIELDS[formula]) for history in found]
    scales = [_scale(np.concatenate([v[..., row].ravel() for v in values])) for row in range(3)]
    columns = [
        _column(history, scopes, one, names, scales)
        for history, one in zip(found, values, strict=True)
    ]
    rows = [list(row) for row in zip(*columns, strict=True)]
    first, *others = (
        [row[0], *(replace(panel, y=replace(panel.y, label="")) for panel in row[1:])]
        for row in rows
    )
    return Chart(
        [first, *others],
        "Feature quality over training",
        (min(PAGE, COLUMN * len(found)), 4.6),
        820,
        note="each value: mean over the group's classes",
        share_x="col",
        share_y="row",
        spacing=0.06,
        align_labels=True,
    )


def _values(history: History[Features], scopes: tuple[str, ...], quality: str) -> Array:
    """Read the three quantities of one run (S, T, 3)."""
    found = [[_three(r, scope, quality) for r in history.records] for scope in scopes]
    return np.array(found)


def _scale(values: Array) -> Literal["linear", "log"]:
    """Choose a logarithmic scale where a few checkpoints would flatten the others."""
    known = values[np.isfinite(values)]
    spread = known.size > 0 and known.min() > 0 and known.max() > _FLAT * np.median(known)
    return "log" if spread else "linear"


def _column(
    history: History[Features],
    scopes: tuple[str, ...],
    values: Array,
    names: tuple[str, ...],
    scales: Sequence[Literal["linear", "log"]],
) -> list[Panel]:
    """Describe one run."""
    labels = [history.scope_label(scope) for scope in scopes]
    style: Style = {"sparse": True, "hover": history.hover("%{y:.4g}")}
    return [
        Panel(
            "" if row else history.label,
            [
                Line(label, history.at, y, shade, mark, end=label, **style)
                for label, shade, mark, y in zip(
                    labels,
                    scope_colours(scopes),
                    scope_markers(scopes),
                    values[..., row],
                    strict=True,
                )
            ],
            training(history.unit, named=row == len(names) - 1),
            Axis(name, margin=0.1, scale=scales[row], round_ticks=scales[row] == "log"),
            reweighting=history.reweighting,
            names_reweighting=row == 0,
        )
        for row, name in enumerate(names)
    ]


def _default_scopes(records: list[Features]) -> tuple[str, ...]:
    """Choose head and tail if all records have samples of them; otherwise all classes together."""
    found = tuple(scope for scope in ("head", "tail") if all(r.has(scope) for r in records))
    return found or ("overall",)


def _three(record: Features, scope: str, quality: str) -> tuple[float, float, float]:
    """Average quality, separation and log-variance; that of a class of one sample is -inf."""
    with np.errstate(divide="ignore"):
        logarithms = replace(record, variance=np.log(record.variance))
    return (
        record.scope_mean(scope, quality),
        record.scope_mean(scope, "separation"),
        logarithms.scope_mean(scope, "variance"),
    )
