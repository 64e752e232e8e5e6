"""Write the tables and figures of docs/saddles.md on digits, from diagnosed runs.

python docs/saddles.py RUN…: the first runs, one a method, are those of the class tables and the
figures; further ones repeat a method with another seed, and stand in the table of seeds alone.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from saddle_tables import (
    PAGE,
    counts,
    downwards,
    interval,
    markdown,
    number,
    span,
    towards_zero,
    write_tables,
)

from figures.catalogue import read_figure
from figures.output import paper_style
from figures.request import Request
from figures.runs.folder import RunResults
from landscape.errors import InputError
from landscape.results.load import read_record
from landscape.results.provenance import Provenance
from landscape.results.spectrum import Spectrum

_CLASSES = (
    "class (images)",
    *("λmax", "λmin", "proved: λmin <", "99 %: λmin >", "ratio", "verdict"),
    *("released λmax", "released λmin", "released ratio", "released verdict"),
)
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
            interval(exact.lambda_max[a], exact.lambda_max_bound[a]),
            interval(exact.lambda_min[a], exact.lambda_min_bound[a]),
            towards_zero(below) if below < 0 else "–",
            downwards(exact.lowest[a]),
            number(exact.nonconvexity[a]),
            str(exact.verdict[a]),
            number(released.lambda_max[b]),
            number(released.lambda_min[b]),
            number(released.nonconvexity[b]),
            str(released.verdict[b]),
        ]

    def seed_row(self) -> list[str]:
        """One row of the table of seeds."""
        exact, released = (self._classes(record) for record in (self.exact, self.released))
        return [
            f"`{self.method}`, seed {self.seed}",
            f"{(self.proved < 0).sum()} of {len(self.proved)}",
            span(self.exact.nonconvexity[exact]),
            counts(self.exact.verdict[exact]),
            span(self.released.nonconvexity[released]),
            counts(self.released.verdict[released]),
        ]


def tables(runs: list[Run]) -> dict[str, str]:
    """Write every table of the page, by its name."""
    firsts = {run.method: run for run in reversed(runs)}
    found = {run.method: markdown(_CLASSES, run.class_rows()) for run in firsts.values()}
    return found | {"seeds": markdown(_SEEDS, [run.seed_row() for run in runs])}


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


def main() -> None:
    """Write the page's tables and figures."""
    paths = [Path(word) for word in sys.argv[1:]]
    runs = [Run.read(path) for path in paths]
    firsts = {run.method: path for run, path in reversed(list(zip(runs, paths, strict=True)))}
    write_tables(tables(runs))
    ordered = [path for path in paths if path in firsts.values()]
    for path in (PAGE, *draw_figures(ordered)):
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
