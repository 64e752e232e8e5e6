"""Compare two settings by every number of every class that both have, paired over seeds.

The difference of a number is taken seed by seed. Its interval is a bias-corrected bootstrap over
the differences (Efron 1987), its p-value that of a paired t-test, and all p-values together are
corrected after Holm (1979). A difference is claimed where its corrected p is below 0.05 and its
interval leaves zero out; of a single pair nothing is claimed, for it has no interval.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from figures.runs.folder import RunResults
from landscape.results import InputError
from landscape.results.fields import Array, datasets
from landscape.results.load import record_types
from landscape.results.provenance import Provenance
from landscape.results.remedy import remedy

LEVEL = 0.05
_RESAMPLES = 5000
_TOGETHER = 200  # differences drawn at once, which bounds the memory
_ROUNDING = 1e-9
# what says how a number was found, and not what it is
_NOT_COMPARED = {"training_count", "samples", "matvecs", "trace_probes", "dimension", "split"}
_NOT_COMPARED |= {
    "noise_floor",
    "repeatability",
    "orthogonality_loss",
    "graphs_kept",
    "parts",
    "basin_cut",
}
_ERRORS = ("_sem", "_std", "_residual", "_bound")
_ROWS = {"class": "class_name", "scope": "scope", "group_name": "group_name"}  # by axis

Key = tuple[str, str]  # analysis.number, and the scope it speaks of


@dataclass(frozen=True)
class Difference:
    """A number of one scope: both means, and the second less the first, over pairs of seeds."""

    number: str  # such as spectrum.lambda_max
    scope: str
    first: float
    second: float
    low: float  # of the 95 % interval of the difference; NaN for one pair
    high: float
    p: float  # corrected after Holm
    pairs: int

    @property
    def difference(self) -> float:
        """The second less the first."""
        return self.second - self.first

    @property
    def claimed(self) -> bool:
        """Whether the two differ, as far as these seeds tell."""
        return self.p < LEVEL and not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Numbers:
    """Every number of every class and group that a run's results hold."""

    run: RunResults
    origin: Provenance  # of one of them
    values: dict[Key, float]


def numbers_of(run: RunResults, checkpoint: str) -> Numbers:
    """Read all results of a run.

    Args:
        run: the run.
        checkpoint: see :meth:`RunResults.load`.

    Raises:
        InputError: it has none.
    """
    found: dict[Key, float] = {}
    first: Provenance | None = None
    for analysis, kind in record_types().items():
        try:
            record, origin = run.load(kind, checkpoint)
        except InputError:
            continue
        first = first or origin
        for name, scope, value in _values(record):
            found[f"{analysis}.{name}", scope] = value
    if first is None:
        raise InputError(
            f"'{run.path}' has no result of checkpoint '{checkpoint}'; "
            f"{remedy(run.path, 'spectrum', checkpoint)}"
        )
    return Numbers(run, first, found)


def compared(first: Sequence[Numbers], second: Sequence[Numbers]) -> list[Difference]:
    """Compare two groups of runs, paired by their seeds.

    Raises:
        InputError: the seeds are not the same, or the runs have no result in common.
    """
    sides = [_by_seed(group) for group in (first, second)]
    if sides[0].keys() != sides[1].keys():
        held = " and ".join(", ".join(map(str, sorted(side))) or "none" for side in sides)
        raise InputError(
            f"differences are taken seed by seed, and the two settings have the seeds {held}; give "
            "runs of the same seeds of both"
        )
    seeds = sorted(sides[0])
    read = [[side[seed].values for seed in seeds] for side in sides]
    common = set.intersection(*(set(one) for side in read for one in side))
    keys = [key for key in read[0][0] if key in common]
    if not keys:
        raise InputError(
            "these runs have no result in common; diagnose them alike, say with 'tailscape "
            "diagnose RUN --analyses spectrum,accuracy'"
        )
    before, after = (np.array([[one[key] for one in side] for key in keys]) for side in read)
    low, high, p = intervals(after - before)
    found = []
    for k, (number, scope) in enumerate(keys):
        means = float(before[k].mean()), float(after[k].mean())
        ends = float(low[k]), float(high[k])
        found.append(Difference(number, scope, *means, *ends, float(p[k]), len(seeds)))
    return _corrected(found)


def intervals(apart: Array) -> tuple[Array, Array, Array]:
    """Bootstrap the means of differences (D, n) over seeds.

    Returns:
        Ends of the 95 % intervals and p-values of t-tests, (D,) each; NaN for one seed, for a
        number that is not finite, and the p of differences that are the same in every seed: as
        steps of an accuracy are, they may be so by chance.
    """
    low, high, p = (np.full(len(apart), np.nan) for _ in range(3))
    if apart.shape[1] < 2:
        return low, high, p
    size = np.abs(apart).max(axis=1)
    same = np.ptp(apart, axis=1) <= _ROUNDING * size  # nothing to draw from
    low[same] = high[same] = apart[same, 0]
    p[same & (size == 0)] = 1.0
    drawn = np.flatnonzero(np.isfinite(size) & ~same)
    for own in np.array_split(drawn, -(-len(drawn) // _TOGETHER)) if len(drawn) else ():
        found = stats.bootstrap(
            (apart[own],),
            np.mean,
            n_resamples=_RESAMPLES,
            confidence_level=1 - LEVEL,
            method="BCa" if apart.shape[1] > 2 else "percentile",
            axis=1,
            random_state=np.random.default_rng(0),
        ).confidence_interval
        low[own], high[own] = found.low, found.high
        p[own] = stats.ttest_1samp(apart[own], 0.0, axis=1).pvalue
    return low, high, p


def _values(record: Any) -> Iterator[tuple[str, str, float]]:
    """Yield the real numbers of each class or scope: dataset, scope, value."""
    names: dict[str, list[str]] = {}
    for axis, field in _ROWS.items():
        own = getattr(record, field, None)
        if own is not None:
            classes = [f"class/{c}" for c in range(len(own))]
            names[axis] = classes if axis == "class" else [str(name) for name in own]
    for name, _, axes in datasets(record):
        values = np.asarray(getattr(record, name))
        skipped = name in _NOT_COMPARED or name.endswith(_ERRORS)
        if skipped or len(axes) != 1 or axes[0] not in names or values.dtype.kind != "f":
            continue
        for scope, value in zip(names[axes[0]], values, strict=True):
            yield name, scope, float(value)


def _by_seed(group: Sequence[Numbers]) -> Mapping[int, Numbers]:
    return {int(one.origin.config["plan"].get("seed") or 0): one for one in group}


def _corrected(found: Sequence[Difference]) -> list[Difference]:
    """Correct the p-values of all differences together, after Holm."""
    tested = sorted((d for d in found if np.isfinite(d.p)), key=lambda d: d.p)
    largest, corrected = 0.0, dict[int, float]()
    for rank, one in enumerate(tested):
        largest = max(largest, min((len(tested) - rank) * one.p, 1.0))
        corrected[id(one)] = largest
    return [replace(one, p=corrected.get(id(one), np.nan)) for one in found]
