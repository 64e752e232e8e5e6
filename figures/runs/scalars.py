"""Read numbers of a run: accuracies, ends of the spectrum, shares of conflicting gradients."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from figures.runs.folder import RunResults
from figures.runs.settings import flat_settings
from landscape.results import InputError, unknown
from landscape.results.accuracy import Accuracy
from landscape.results.gradients import Gradients
from landscape.results.provenance import Provenance
from landscape.results.spectrum import Spectrum

GROUPS = ("overall", "head", "mid", "tail")
_FURTHER = {"worst": "accuracy of the worst class, %", "ece": "expected calibration error, %"}


@dataclass(frozen=True)
class Scalars:
    """Numbers of one run."""

    run: RunResults
    origin: Provenance
    values: tuple[float, ...]  # (Y,) one a name
    split: str | None  # of the groups, where a value is that of a group

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that the run was trained with."""
        return flat_settings(self.origin.config["plan"])


@dataclass(frozen=True)
class _Scalar:
    label: str  # with {} for the scope
    read: Callable[[Any, int], float]


_SPECTRUM = {
    "lambda_min": _Scalar("λmin, {}", lambda r, s: r.lambda_min[s]),
    "lambda_max": _Scalar("λmax, {}", lambda r, s: r.lambda_max[s]),
    "trace": _Scalar("trace of the Hessian, {}", lambda r, s: r.trace[s]),
    "nonconvexity": _Scalar("|λmin / λmax|, {}", lambda r, s: r.nonconvexity[s]),
}
_PAIRS = {
    "conflicts": "conflicting pairs of classes, %",
    "dominated": "dominated conflicts, % of pairs",
}
NAMES = (*GROUPS, *_FURTHER, *_SPECTRUM, *_PAIRS)


def read_scalars(
    run: RunResults, names: Sequence[str], scope: str = "overall", checkpoint: str = "last"
) -> Scalars:
    """Read numbers of a run.

    Args:
        run: the run.
        names: ``overall``, ``head``, ``mid``, ``tail`` or ``class/3`` for test accuracies in per
            cent, ``worst`` for that of the worst class, ``ece`` for the calibration error;
            ``lambda_min``, ``lambda_max``, ``trace`` or ``nonconvexity`` of the scope;
            ``conflicts`` or ``dominated`` in per cent of the pairs of classes.
        scope: of the numbers of the spectrum.
        checkpoint: ``last``, ``best`` or an epoch.

    Raises:
        InputError: a name is not known, or the run lacks the result; the message gives the command
            that makes it.
    """
    kinds = {name: _record_kind(name) for name in names}
    loaded = {kind: run.load(kind, checkpoint) for kind in dict.fromkeys(kinds.values())}
    values = tuple(_value(run, name, loaded[kinds[name]][0], scope) for name in names)
    of_groups = any(name in GROUPS[1:] for name in names)
    split = str(loaded[Accuracy][0].split) if of_groups else None
    return Scalars(run, loaded[kinds[names[0]]][1], values, split)


def one_split(reads: Sequence[Scalars]) -> str | None:
    """Return the split of all runs' groups; ``None`` where no group is read.

    Raises:
        InputError: the runs' groups are split by different rules.
    """
    splits = {read.split for read in reads if read.split is not None}
    if len(splits) > 1:
        raise InputError(
            f"these runs' groups are split by different rules ({', '.join(sorted(splits))}); "
            "diagnose them with one --split"
        )
    return splits.pop() if splits else None


def scalar_label(name: str, scope: str = "overall", split: str | None = None) -> str:
    """Name a number for an axis.

    Args:
        name: see :func:`read_scalars`.
        scope: of a number of the spectrum.
        split: of a group.
    """
    if name in _SPECTRUM:
        return _SPECTRUM[name].label.format(scope.replace("/", " "))
    if name in _PAIRS:
        return _PAIRS[name]
    if name in _FURTHER:
        return _FURTHER[name]
    words = f"{name.replace('/', ' ')} accuracy, %"
    return f"{words} (split '{split}')" if split and name in GROUPS[1:] else words


def _record_kind(name: str) -> type[Any]:
    if name in _SPECTRUM:
        return Spectrum
    if name in _PAIRS:
        return Gradients
    if name not in {*GROUPS, *_FURTHER} and not name.startswith("class/"):
        raise unknown("--options y", name, [*NAMES, "class/0"])
    return Accuracy


def _value(run: RunResults, name: str, record: Any, scope: str) -> float:
    if name in _SPECTRUM:
        return float(_SPECTRUM[name].read(record, record.index(scope)))
    if name in _PAIRS:
        return 100 * float(getattr(record, name)) / float(record.pairs)
    shares = record.by_scope() | {"worst": record.worst, "ece": record.ece[0]}
    if name not in shares:
        raise unknown(f"class of '{run.path}'", name, shares)
    return 100 * float(shares[name])
