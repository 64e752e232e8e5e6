"""What a diagnosis prints of surfaces, gradients, features, similarity and sharpness."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from landscape.results import (
    Features,
    Gradients,
    Sharpness,
    Similarity,
    Surface,
    load,
)

# of one checkpoint, and of several
FIGURE_OF = {
    "spectrum": ("spectrum", "nonconvexity"),
    "spectrum-saddle": ("protocol", "protocol"),
    "accuracy": ("accuracy", "accuracy"),
    "surface": ("surface", "trajectory"),
    "gradients": ("conflicts", "gradient-similarity"),
    "features": ("feature-quality", "feature-quality"),
    "similarity": ("cca", "cca"),
    "sharpness": ("noise", "class-loss"),
}


def summary(run: Path, checkpoint: str, analysis: str) -> Table | None:
    """Build the table of an analysis of a checkpoint; ``None`` without a result.

    Args:
        run: run folder.
        checkpoint: its name.
        analysis: other than spectrum and accuracy, which have tables of their own.
    """
    path = run / "results" / analysis / f"{checkpoint}.h5"
    if not path.is_file():
        return None
    record, provenance = load(path)
    table = Table(title=f"{analysis}, {checkpoint} ({run.name})", box=None)
    table.title = f"{provenance.config['plan']['method']}, {table.title}"
    _TABLES[analysis](record, table)
    return table


def _columns(table: Table, names: Sequence[str]) -> None:
    for k, name in enumerate(names):
        table.add_column(name, justify="left" if k == 0 else "right")


def _class_rows(table: Table, record: Any, columns: dict[str, Any]) -> None:
    _columns(table, ["class", "train", "used", *columns])
    for c, name in enumerate(record.class_name):
        cells = [_number(values[c]) for values in columns.values()]
        counts = (str(record.training_count[c]), str(record.samples[c]))
        table.add_row(str(name), *counts, *cells)


def _gradients(record: Gradients, table: Table) -> None:
    _class_rows(
        table,
        record,
        {
            "loss": record.loss,
            "‖g‖": record.norm,
            "‖g‖/‖g_mean‖": record.norm_ratio,
            "cos to mean": record.similarity_to_mean,
            "cos to all": record.similarity_to_batch,
        },
    )
    table.caption = (
        f"{record.conflicts} of {record.pairs} pairs in conflict, {record.dominated} dominated "
        f"({record.dominated_unit} by gradients of unit length); "
        f"{record.mode} mode, {record.batches} batch(es)"
    )


def _features(record: Features, table: Table) -> None:
    _class_rows(
        table,
        record,
        {
            "quality": record.quality,
            "separation": record.separation,
            "variance": record.variance,
            "NC1": record.nc1_class,
        },
    )
    table.caption = (
        f"neural collapse: NC1 {record.nc1:.3g}, NC2 {record.nc2:.3g} (norms {record.nc2_norms:.3g}"
        f"), NC3 {record.nc3:.3g}, NC4 {record.nc4:.1%} agree; {record.dimension} dimensions"
    )


def _surface(record: Surface, table: Table) -> None:
    _columns(table, ["scope", "loss at the centre", "least", "largest", "correct there %"])
    row, column = np.abs(record.y).argmin(), np.abs(record.x).argmin()
    for scope in ("overall", *(f"class/{c}" for c in range(len(record.class_name)))):
        if scope != "overall" and record.samples[int(scope.partition("/")[2])] == 0:
            continue
        loss, share = record.scope_loss(scope), record.scope_accuracy(scope)
        cells = (loss[row, column], np.nanmin(loss), np.nanmax(loss))
        table.add_row(scope, *map(_number, cells), f"{100 * share[row, column]:.1f}")
    kinds = " and ".join(str(kind) for kind in record.direction_kind)
    table.caption = f"{record.done.sum()} of {record.done.size} points; directions {kinds}"


def _similarity(record: Similarity, table: Table) -> None:
    _columns(table, ["measure", "head against tail", "shuffled", "classes, mean", "shuffled"])
    off = ~np.eye(len(record.class_name), dtype=bool)
    paired = bool(np.isnan(record.score[0][off]).all())
    for m, name in enumerate(record.measure):
        chosen = ~off if paired else off
        cells = (
            f"{_number(record.head_tail[m])} ± {_number(record.head_tail_sem[m])}",
            _number(record.head_tail_baseline[m]),
            _number(record.score[m][chosen].mean()),
            _number(record.shuffled_baseline[m][chosen].mean()),
        )
        table.add_row(str(name), *cells)
    table.caption = (
        f"n = {record.rows} rows a side, d = {record.dimension} dimensions, "
        f"{record.draws} draw(s), matched by {record.paired}"
    )


def _sharpness(record: Sharpness, table: Table) -> None:
    _columns(table, ["scope", "loss", "rise, one step", "rise, several", "ρ*", "noise 10 %"])
    nearest = int(np.abs(record.ratio - 0.1).argmin())
    for s, scope in enumerate(record.scope):
        kind, _, number = str(scope).partition("/")
        radius = record.characteristic_radius[int(number)] if kind == "class" else np.nan
        cells = (
            record.start[s],
            record.sam_sharpness[s],
            record.sam_sharpness_steps[s],
            radius,
            record.loss[nearest, :, s].mean(),
        )
        table.add_row(str(scope), *map(_number, cells))
    table.caption = (
        f"ascents of length {record.radius:g} over {record.perturbed} parameters; noise column: "
        f"mean loss at ‖ε‖ = {record.ratio[nearest]:g} ‖w‖"
    )


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.4g}"


_TABLES: dict[str, Callable[[Any, Table], None]] = {
    "gradients": _gradients,
    "features": _features,
    "surface": _surface,
    "similarity": _similarity,
    "sharpness": _sharpness,
}
