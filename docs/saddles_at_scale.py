"""Write the tables and the figure of docs/saddles.md on CIFAR-10-LT.

python docs/saddles_at_scale.py: from the result files kept in docs/reproduction.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from saddle_tables import PAGE, markdown, number, write_tables
from scipy.stats import spearmanr

from figures.charts.panel import colour, marker
from figures.output import PAGE as WIDTH
from figures.output import paper_style
from figures.runs.folder import RunResults
from landscape.results.checkpoint_names import number_of
from landscape.results.load import read_record
from landscape.results.spectrum import Spectrum

_RUNS = ("ce", "ce-drw", "ce-drw+sam")
_LAST = (
    *("run", "class (images, judged)", "λmax", "λmin", "ratio", "negative directions", "verdict"),
    "‖g‖² / (2 λmax L)",
    *("released λmax", "released λmin", "released ratio", "released verdict"),
)
_CONTROLS = ("run", "class", "judged", "images", "loss", "λmax", "λmin", "ratio", "verdict")
_LEVELS = {"weak saddle": 0.02, "saddle": 0.1}  # the verdict's thresholds
_ACROSS = {"loss": "training loss of the class", "training_count": "images of the class"}
_RANKS = ("over the classes of", "ratio and training loss", "ratio and class size")
_JUDGED = {
    "draw": "another draw",
    "images-50": "50 images",
    "views": "8 fixed views of each image",
    "test": "test images",
}


def tables_at_scale(kept: Path) -> dict[str, str]:
    """Write the tables of the runs in a folder of rows, by their names.

    The last epoch's, with the released protocol where it was run, and the ratios of those before.
    """
    paths = [kept / name for name in _RUNS if (kept / name / "results").is_dir()]
    rows = [row for path in paths for row in _rows_at_scale(path)]
    columns, epochs = ["class"], []
    for path in paths:
        run = RunResults(path)
        for name in run.checkpoints(Spectrum)[:-1]:
            columns.append(f"`{path.name}`, {number_of(name)}")
            epochs.append(run.load(Spectrum, name)[0])
    judged = sorted({str(scope) for record in epochs for scope in record.scope})
    course = [[s[6:], *(_verdict_in_short(record, s) for record in epochs)] for s in judged]
    return {
        "at-scale": markdown(_LAST, rows),
        "course-at-scale": markdown(tuple(columns), course),
        "controls": markdown(_CONTROLS, [row for path in paths for row in _controls(path)]),
        "ranks": markdown(_RANKS, _ranks(paths)),
    }


def _ranks(paths: list[Path]) -> list[list[str]]:
    """Correlate ranks (Spearman) of the ratios with those of the losses and sizes."""
    records = [RunResults(path).load(Spectrum, "last")[0] for path in paths]
    named = [(f"`{path.name}`", [record]) for path, record in zip(paths, records, strict=True)]
    rows = []
    for name, chosen in [*named, ("all", records)]:
        ratio, loss, size = (
            np.concatenate([getattr(record, field) for record in chosen])
            for field in ("nonconvexity", "loss", "training_count")
        )
        found = (spearmanr(ratio, other) for other in (loss, size))
        rows.append([name, *(f"{r.statistic:.2f} (p = {r.pvalue:.1g})" for r in found)])
    return rows


def draw_figure(kept: Path) -> Path:
    """Draw every class's ratio over its training loss and over its size."""
    path = PAGE.with_name("saddles-at-scale.png")
    with paper_style():
        figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 2.8), sharey=True, layout="constrained")
        for axis, (field, label) in zip(axes, _ACROSS.items(), strict=True):
            axis.set(xscale="log", yscale="log", xlabel=label)
            for line in (axis.xaxis, axis.yaxis):
                line.set_major_formatter("{x:g}")
                line.set_minor_formatter("")
            for level in _LEVELS.values():
                axis.axhline(level, color="0.6", linewidth=0.6, zorder=0)
            for k, name in enumerate(_RUNS):
                record, _ = RunResults(kept / name).load(Spectrum, "last")
                _scatter(axis, record, getattr(record, field), k, name)
        for word, level in _LEVELS.items():
            side = {"transform": axes[0].get_yaxis_transform(), "va": "bottom", "color": "0.4"}
            axes[0].text(0.01, level, f"from here: {word}", fontsize=6, **side)
        axes[0].set_ylabel("|λmin/λmax|")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        figure.savefig(path, dpi=150)
        plt.close(figure)
    return path


def _scatter(axis: Axes, record: Spectrum, across: np.ndarray, k: int, name: str) -> None:
    """Mark each class, its number beside it."""
    shade = colour(k)
    axis.scatter(across, record.nonconvexity, s=16, color=shade, marker=marker(k)[0], label=name)
    for x, y, scope in zip(across, record.nonconvexity, record.scope, strict=True):
        beside = {"xytext": (3, 2), "textcoords": "offset points", "fontsize": 6, "color": shade}
        axis.annotate(str(scope).removeprefix("class/"), (float(x), float(y)), **beside)


def _rows_at_scale(path: Path) -> list[list[str]]:
    exact, origin = RunResults(path).load(Spectrum, "last")
    theirs = path / "results" / "spectrum-saddle" / f"{origin.checkpoint}.h5"
    released = read_record(theirs, Spectrum)[0] if theirs.is_file() else None
    rows = []
    for at, scope in enumerate(map(str, exact.scope)):
        high, low = exact.end_texts(at)
        known = released is not None and scope in released.scope
        steep = exact.grad_norm[at] ** 2 / (2 * exact.lambda_max[at] * exact.loss[at])
        rows.append(
            [
                f"`{path.name}`",
                f"{scope[6:]} ({exact.training_count[at]}, {exact.samples[at]})",
                *(high, low, number(exact.nonconvexity[at])),
                *(f"≥ {int(exact.negative_directions[at])}", str(exact.verdict[at])),
                number(steep),
                *(_released(released, scope) if known else ["not run"] * 4),
            ]
        )
    return rows


def _controls(path: Path) -> list[list[str]]:
    """Each class that has a control: its row of the main table, then its controls."""
    plain, _ = RunResults(path).load(Spectrum, "last")
    files = sorted(path.glob("controls/*/class_*.h5"), key=lambda file: _place(file.parent.name))
    numbers = sorted({int(file.stem.removeprefix("class_")) for file in files}, reverse=True)
    rows = []
    for c in numbers:
        rows.append([f"`{path.name}`", str(c), "as above", *_control(plain, f"class/{c}")])
        for file in files:
            if file.stem == f"class_{c}":
                record, _ = read_record(file, Spectrum)
                rows.append(["", "", _judged(file.parent.name), *_control(record, f"class/{c}")])
    return rows


def _place(name: str) -> int:
    return [*_JUDGED, name].index(name)


def _judged(name: str) -> str:
    other = name.removeprefix("like-")
    return _JUDGED.get(name, f"logits scaled to the loss in `{other}`")


def _control(record: Spectrum, scope: str) -> list[str]:
    at = record.index(scope)
    loss, ratio = number(record.loss[at]), number(record.nonconvexity[at])
    return [str(record.samples[at]), loss, *record.end_texts(at), ratio, str(record.verdict[at])]


def _released(record: Spectrum, scope: str) -> list[str]:
    at = record.index(scope)
    values = (record.lambda_max[at], record.lambda_min[at], record.nonconvexity[at])
    return [*map(number, values), str(record.verdict[at])]


def _verdict_in_short(record: Spectrum, scope: str) -> str:
    if scope not in record.scope:
        return "–"
    at = record.index(scope)
    return f"{number(record.nonconvexity[at])} {record.verdict[at]}"


if __name__ == "__main__":
    rows = PAGE.with_name("reproduction")
    write_tables(tables_at_scale(rows))
    print(f"wrote {PAGE}", f"wrote {draw_figure(rows)}", sep="\n")
