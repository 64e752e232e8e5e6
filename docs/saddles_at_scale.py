"""Write the tables of docs/saddles.md on CIFAR-10-LT from the files kept in docs/reproduction."""

from pathlib import Path

from saddle_tables import PAGE, markdown, number, write_tables

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
    }


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
    write_tables(tables_at_scale(PAGE.with_name("reproduction")))
    print(f"wrote {PAGE}")
