"""Write the tables of docs/saddles.md, and its figures, from diagnosed runs.

python docs/saddles.py RUN…: the first runs, one a method, are those of the class tables and the
figures; further ones repeat a method with another seed, and stand in the table of seeds alone.
python docs/saddles.py: the tables of CIFAR-10-LT, from the result files kept in docs/reproduction.
"""

import sys
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_FLOOR, ROUND_UP, Decimal
from pathlib import Path

import numpy as np

from figures.catalogue import read_figure
from figures.output import paper_style
from figures.request import Request
from figures.runs.folder import RunResults
from landscape.errors import InputError
from landscape.results.checkpoint_names import number_of
from landscape.results.load import read_record
from landscape.results.provenance import Provenance
from landscape.results.spectrum import Spectrum

PAGE = Path(__file__).with_suffix(".md")
_CLASSES = (
    "class (images)",
    *("λmax", "λmin", "proved: λmin <", "99 %: λmin >", "ratio", "verdict"),
    *("released λmax", "released λmin", "released ratio", "released verdict"),
)
_AT_SCALE = (
    *("run", "class (images, judged)", "λmax", "λmin", "ratio", "negative directions", "verdict"),
    "‖g‖² / (2 λmax L)",
    *("released λmax", "released λmin", "released ratio", "released verdict"),
)
_RUNS_AT_SCALE = ("ce", "ce-drw", "ce-drw+sam")
_SEEDS = (
    "run",
    *("classes proved to curve down", "ratio, least to largest", "verdicts"),
    *("released ratio", "released verdicts"),
)


@dataclass(frozen=True)
class Run:
    """Both analyses of the last checkpoint."""

    method: str
    seed: int
    exact: Spectrum
    released: Spectrum
    origin: Provenance

    @staticmethod
    def read(path: Path) -> "Run":
        """Read the spectra of every class.

        Raises:
            InputError: one is missing, or is not of every class.
        """
        exact, origin = RunResults(path).load(Spectrum, "last")
        name = f"{origin.checkpoint}.h5"
        released, _ = read_record(path / "results" / "spectrum-saddle" / name, Spectrum)
        wanted = [f"class/{c}" for c in range(len(origin.config["class_names"]))]
        for record, what in ((exact, "exact"), (released, "released")):
            missing = set(wanted) - set(map(str, record.scope))
            if missing:
                raise InputError(
                    f"the {what} spectrum of '{path}' lacks {', '.join(sorted(missing))}; diagnose "
                    "it with --scopes classes --overwrite"
                )
        plan = origin.config["plan"]
        return Run(str(plan["method"]), int(plan["seed"]), exact, released, origin)

    @property
    def proved(self) -> np.ndarray:
        """What the classes' λmin is proved to be below: quotient and rounding error (K,)."""
        return (self.exact.lambda_min + self.exact.noise_floor)[self._classes(self.exact)]

    @staticmethod
    def _classes(record: Spectrum) -> list[int]:
        return [s for s, name in enumerate(record.scope) if str(name).startswith("class/")]

    def class_rows(self) -> list[list[str]]:
        """One row a class, as in the table."""
        return [self._class_row(str(self.exact.scope[s])) for s in self._classes(self.exact)]

    def _class_row(self, scope: str) -> list[str]:
        exact, released = self.exact, self.released
        a, b = exact.index(scope), released.index(scope)
        below = exact.lambda_min[a] + exact.noise_floor[a]
        return [
            f"{scope.removeprefix('class/')} ({exact.training_count[a]})",
            _interval(exact.lambda_max[a], exact.lambda_max_bound[a]),
            _interval(exact.lambda_min[a], exact.lambda_min_bound[a]),
            _towards_zero(below) if below < 0 else "–",
            _downwards(exact.lowest[a]),
            _number(exact.nonconvexity[a]),
            str(exact.verdict[a]),
            _number(released.lambda_max[b]),
            _number(released.lambda_min[b]),
            _number(released.nonconvexity[b]),
            str(released.verdict[b]),
        ]

    def seed_row(self) -> list[str]:
        """One row of the table of seeds."""
        exact, released = (self._classes(record) for record in (self.exact, self.released))
        return [
            f"`{self.method}`, seed {self.seed}",
            f"{(self.proved < 0).sum()} of {len(self.proved)}",
            _range(self.exact.nonconvexity[exact]),
            _counts(self.exact.verdict[exact]),
            _range(self.released.nonconvexity[released]),
            _counts(self.released.verdict[released]),
        ]


def tables(runs: list[Run]) -> dict[str, str]:
    """Write every table of the page, by its name."""
    firsts = {run.method: run for run in reversed(runs)}
    found = {run.method: markdown(_CLASSES, run.class_rows()) for run in firsts.values()}
    return found | {"seeds": markdown(_SEEDS, [run.seed_row() for run in runs])}


def tables_at_scale(kept: Path) -> dict[str, str]:
    """Write the tables of the runs in a folder of rows, by their names.

    The last epoch's, with the released protocol where it was run, and the ratios of those before.
    """
    paths = [kept / name for name in _RUNS_AT_SCALE if (kept / name / "results").is_dir()]
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
        "at-scale": markdown(_AT_SCALE, rows),
        "course-at-scale": markdown(tuple(columns), course),
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
                *(high, low, _number(exact.nonconvexity[at])),
                *(f"≥ {int(exact.negative_directions[at])}", str(exact.verdict[at])),
                _number(steep),
                *(_released(released, scope) if known else ["not run"] * 4),
            ]
        )
    return rows


def _released(record: Spectrum, scope: str) -> list[str]:
    at = record.index(scope)
    values = (record.lambda_max[at], record.lambda_min[at], record.nonconvexity[at])
    return [*map(_number, values), str(record.verdict[at])]


def _verdict_in_short(record: Spectrum, scope: str) -> str:
    if scope not in record.scope:
        return "–"
    at = record.index(scope)
    return f"{_number(record.nonconvexity[at])} {record.verdict[at]}"


def markdown(head: tuple[str, ...], rows: list[list[str]]) -> str:
    """Write a table, numbers to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_tables(text: str, found: dict[str, str]) -> str:
    """Put tables between their marks.

    Args:
        text: of the page.
        found: tables by name.

    Raises:
        InputError: the page has no mark of that name.
    """
    for name, table in found.items():
        begin, end = f"<!-- table: {name} -->\n", f"\n<!-- end: {name} -->"
        if begin not in text or end not in text:
            raise InputError(f"the page has no marks {begin.strip()} and {end.strip()}")
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = before + begin + table + end + after
    return text


def draw_figures(paths: list[Path]) -> list[Path]:
    """Draw what the page shows, one run a method."""
    request = Request(tuple(RunResults.open(path) for path in paths))
    wrote = []
    for kind in ("nonconvexity", "curvature", "protocol"):
        with paper_style():
            figure = read_figure(kind, request).draw()
        wrote.append(PAGE.with_name(f"saddles-{kind}.png"))
        figure.savefig(wrote[-1], dpi=150)
    return wrote


def _number(value: float) -> str:
    return _minus(f"{value:.3g}")


def _towards_zero(value: float) -> str:
    """Three digits that a value below zero stays below."""
    return _rounded(value, ROUND_DOWN)


def _downwards(value: float) -> str:
    """Three digits that a value stays above."""
    return _rounded(value, ROUND_FLOOR)


def _rounded(value: float, how: str) -> str:
    exact = Decimal(repr(float(value)))
    if not exact.is_finite():
        return "–"
    return _minus(f"{exact.quantize(Decimal(1).scaleb(exact.adjusted() - 2), how)}")


def _interval(value: float, bound: float) -> str:
    """The bound rounded up to two digits, the value to as many places."""
    wide = Decimal(repr(float(bound)))
    if not wide.is_finite() or wide <= 0:
        return f"{_number(value)} ± {bound:g}"
    place = Decimal(1).scaleb(wide.adjusted() - 1)
    digits = Decimal(repr(float(value))).quantize(place)
    return f"{_minus(str(digits))} ± {float(wide.quantize(place, ROUND_UP)):g}".replace("e-0", "e-")


def _minus(number: str) -> str:
    return "−" + number[1:] if number.startswith("-") else number


def _range(values: np.ndarray) -> str:
    return f"{_number(values.min())} to {_number(values.max())}"


def _counts(words: np.ndarray) -> str:
    names, counts = np.unique(words.astype(str), return_counts=True)
    return ", ".join(f"{n} {name or 'none'}" for n, name in zip(counts, names, strict=True))


def main() -> None:
    """Write the page's tables and figures."""
    paths = [Path(word) for word in sys.argv[1:]]
    if not paths:
        found = tables_at_scale(PAGE.with_name("reproduction"))
        PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
        print(f"wrote {PAGE}")
        return
    runs = [Run.read(path) for path in paths]
    firsts = {run.method: path for run, path in reversed(list(zip(runs, paths, strict=True)))}
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), tables(runs)), encoding="utf-8")
    ordered = [path for path in paths if path in firsts.values()]
    for path in (PAGE, *draw_figures(ordered)):
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
