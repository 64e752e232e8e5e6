"""Records as one small table for people, in text and in HTML: a row a scope, class or measure.

A number with an error stands before its ±. No tensor library is imported here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from landscape.results.load import (
    RECORDS,
    Accuracy,
    Array,
    Features,
    Gradients,
    Sharpness,
    Similarity,
    Spectrum,
    Surface,
)
from landscape.results.matrix import Matrix
from landscape.results.result import Result

Columns = Mapping[str, Sequence[str]]
_RIGHT = 'style="text-align: right"'


@dataclass(frozen=True)
class Table:
    """Cells as text, a row each."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str

    def text(self) -> str:
        """Align the columns with spaces, the first to the left."""
        lines = [self.header, *self.rows]
        widths = [max(len(line[c]) for line in lines) for c in range(len(self.header))]
        found = [self.caption]
        for first, *others in lines:
            cells = [cell.rjust(w) for cell, w in zip(others, widths[1:], strict=True)]
            found.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
        return "\n".join(found)

    def html(self) -> str:
        """Write a table element; every text is escaped."""
        head = "".join(f"<th {_RIGHT}>{escape(name)}</th>" for name in self.header)
        body = "".join(f"<tr>{_html_row(row)}</tr>" for row in self.rows)
        return (
            f"<table><caption>{escape(self.caption)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


def table_of(record: Result) -> Table:
    """Choose the numbers of a record that stand for it.

    Args:
        record: of any kind.
    """
    columns, note = _TABLES[type(record)](record)
    rows = tuple(zip(*columns.values(), strict=True))
    return Table(tuple(columns), rows, "; ".join(filter(None, (_origin(record), note))))


def _html_row(row: tuple[str, ...]) -> str:
    first, *others = map(escape, row)
    return f"<th {_RIGHT}>{first}</th>" + "".join(f"<td {_RIGHT}>{cell}</td>" for cell in others)


def _origin(record: Result) -> str:
    origin = record.provenance
    if origin is None:
        return next(name for name, kind in RECORDS.items() if kind is type(record))
    plan = origin.config.get("plan", {})
    of = ", ".join(dict.fromkeys([str(plan.get("method", "model")), origin.checkpoint]))
    on = f" on {plan['data']}" if "data" in plan else ""
    what = origin.analysis
    if isinstance(record, Spectrum) and not Matrix.stored(origin).is_hessian:
        what = f"{what} of the {Matrix.stored(origin).name}"
    return f"{what} of {of}{on}; loss {origin.loss}; {origin.dtype}"


def _spectrum(record: Spectrum) -> tuple[Columns, str]:
    judged = np.asarray(record.verdict) != ""  # no other matrix than the Hessian is
    marks = np.where(record.gradient_small | ~judged, "", " †")
    verdicts = [f"{v or '–'}{m}" for v, m in zip(record.verdict, marks, strict=True)]
    columns = {
        "scope": _words(record.scope),
        "train": _words(record.training_count),
        "used": _words(record.samples),
        "loss": _numbers(record.loss),
        "λmax": _numbers(record.lambda_max, record.lambda_max_bound),
        "λmin": _numbers(record.lambda_min, record.lambda_min_bound),
        "|λmin/λmax|": _numbers(record.nonconvexity),
        "trace": _numbers(record.trace, record.trace_sem),
        "verdict": verdicts,
    }
    note = "" if np.all(marks == "") else "† the gradient is not small"
    open_ends = int(np.sum(~np.asarray(record.converged, dtype=bool)))
    wide = f"{open_ends} of {len(record.scope)} scopes not within the tolerance"
    return columns, "; ".join(filter(None, (note, wide if open_ends else "")))


def _accuracy(record: Accuracy) -> tuple[Columns, str]:
    columns = {
        "class": _words(record.class_name),
        "train": _words(record.training_count),
        "judged": _words(record.confusion.sum(axis=1)),
        "correct %": _numbers(100 * record.per_class),
    }
    groups = zip(record.group_name, record.group, strict=True)
    shares = ", ".join(f"{name} {100 * share:.4g} %" for name, share in groups)
    return columns, f"{shares} (split '{record.split}')"


def _surface(record: Surface) -> tuple[Columns, str]:
    present = [c for c in range(len(record.class_name)) if record.samples[c] > 0]
    scopes = ["overall", *(f"class/{c}" for c in present)]
    losses = [record.scope_loss(scope)[record.done] for scope in scopes]
    shares = [record.scope_accuracy(scope) for scope in scopes]
    row, column = np.abs(record.y).argmin(), np.abs(record.x).argmin()
    at_centre = [record.scope_loss(scope)[row, column] for scope in scopes]
    columns = {
        "scope": scopes,
        "loss at the centre": _numbers(np.array(at_centre)),
        "least": _numbers(np.array([loss.min(initial=np.inf) for loss in losses])),
        "largest": _numbers(np.array([loss.max(initial=-np.inf) for loss in losses])),
        "correct there %": _numbers(np.array([100 * share[row, column] for share in shares])),
    }
    kinds = " and ".join(map(str, record.direction_kind))
    return columns, f"{record.done.sum()} of {record.done.size} points; directions {kinds}"


def _gradients(record: Gradients) -> tuple[Columns, str]:
    columns = {
        "class": _words(record.class_name),
        "train": _words(record.training_count),
        "used": _words(record.samples),
        "loss": _numbers(record.loss),
        "‖g‖": _numbers(record.norm),
        "‖g‖/‖g_mean‖": _numbers(record.norm_ratio),
        "cos to mean": _numbers(record.similarity_to_mean),
        "cos to all": _numbers(record.similarity_to_batch),
    }
    note = f"{record.conflicts} of {record.pairs} pairs in conflict, {record.dominated} dominated"
    return columns, f"{note}; {record.mode} mode, {record.batches} batch(es)"


def _features(record: Features) -> tuple[Columns, str]:
    columns = {
        "class": _words(record.class_name),
        "train": _words(record.training_count),
        "used": _words(record.samples),
        "quality": _numbers(record.quality),
        "separation": _numbers(record.separation),
        "variance": _numbers(record.variance),
        "NC1": _numbers(record.nc1_class),
    }
    collapse = f"NC1 {record.nc1:.3g}, NC2 {record.nc2:.3g}, NC3 {record.nc3:.3g}"
    note = f"neural collapse {collapse}, NC4 {record.nc4:.3g}; {record.dimension} dimensions"
    return columns, note


def _similarity(record: Similarity) -> tuple[Columns, str]:
    off = ~np.eye(len(record.class_name), dtype=bool)
    chosen = off if str(record.paired) == "class-balanced draws" else ~off
    present = chosen & ~np.isnan(record.score).all(axis=0)
    columns = {
        "measure": _words(record.measure),
        "head against tail": _numbers(record.head_tail, record.head_tail_sem),
        "shuffled": _numbers(record.head_tail_baseline),
        "classes, mean": _numbers(record.score[:, present].mean(axis=1)),
        "classes shuffled": _numbers(record.shuffled_baseline[:, present].mean(axis=1)),
    }
    note = f"n = {record.rows} rows a side, d = {record.dimension} dimensions"
    return columns, f"{note}, {record.draws} draw(s), matched by {record.paired}"


def _sharpness(record: Sharpness) -> tuple[Columns, str]:
    nearest = int(np.abs(record.ratio - 0.1).argmin())
    noisy = record.loss[nearest]  # (draw, S)
    spread = noisy.std(axis=0, ddof=1) / len(noisy) ** 0.5 if len(noisy) > 1 else None
    radius = {f"class/{c}": r for c, r in enumerate(_numbers(record.characteristic_radius))}
    columns = {
        "scope": _words(record.scope),
        "loss": _numbers(record.start),
        "rise, one step": _numbers(record.sam_sharpness),
        "rise, several": _numbers(record.sam_sharpness_steps),
        "ρ*": [radius.get(str(scope), "") for scope in record.scope],
        "loss under noise": _numbers(noisy.mean(axis=0), spread),
    }
    note = f"ascents of length {record.radius:g} over {record.perturbed} parameters"
    return columns, f"{note}; noise of {record.ratio[nearest]:g} ‖w‖, {len(noisy)} draw(s)"


def _words(values: Array) -> list[str]:
    return [str(value) for value in values]


def _numbers(values: Array, errors: Array | None = None) -> list[str]:
    found = [f"{value:.4g}" if np.isfinite(value) else str(value) for value in values]
    if errors is None:
        return found
    return [f"{v} ± {error:.2g}" for v, error in zip(found, errors, strict=True)]


_TABLES: dict[type, Callable[[Any], tuple[Columns, str]]] = {
    Spectrum: _spectrum,
    Accuracy: _accuracy,
    Surface: _surface,
    Gradients: _gradients,
    Features: _features,
    Similarity: _similarity,
    Sharpness: _sharpness,
}
