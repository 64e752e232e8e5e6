"""One number of a run: an accuracy, an end of the spectrum, a share of conflicting gradients."""

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


@dataclass(frozen=True)
class Read:
    """Numbers of one run."""

    run: RunResults
    origin: Provenance
    values: tuple[float, ...]  # (Y,) one a name
    split: str | None  # of the groups, where a value is that of a group

    @property
    def settings(self) -> dict[str, Any]:
        """What the run was trained with."""
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
NAMES = (*GROUPS, *_SPECTRUM, *_PAIRS)


def read_scalars(
    run: RunResults, names: Sequence[str], scope: str = "overall", checkpoint: str = "last"
) -> Read:
    """Read numbers of a run.

    Args:
        run: the run.
        names: ``overall``, ``head``, ``mid``, ``tail`` or ``class/3`` for test accuracies in per
            cent; ``lambda_min``, ``lambda_max``, ``trace`` or ``nonconvexity`` of the scope;
            ``conflicts`` or ``dominated`` in per cent of the pairs of classes.
        scope: of the numbers of the spectrum.
        checkpoint: ``last``, ``best`` or an epoch.

    Raises:
        InputError: a name is not known, or the run lacks the result; the message gives the command
            that makes it.
    """
    found = [_read_one(run, name, scope, checkpoint) for name in names]
    splits = [split for _, _, split in found if split is not None]
    return Read(
        run, found[0][1], tuple(value for value, _, _ in found), splits[0] if splits else None
    )


def one_split(reads: Sequence[Read]) -> str | None:
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
    words = f"{name.replace('/', ' ')} accuracy, %"
    return f"{words} (split '{split}')" if split and name in GROUPS[1:] else words


def _read_one(
    run: RunResults, name: str, scope: str, checkpoint: str
) -> tuple[float, Provenance, str | None]:
    if name in _SPECTRUM:
        spectrum, origin = run.load(Spectrum, checkpoint)
        return float(_SPECTRUM[name].read(spectrum, spectrum.index(scope))), origin, None
    if name in _PAIRS:
        gradients, origin = run.load(Gradients, checkpoint)
        return 100 * float(getattr(gradients, name)) / float(gradients.pairs), origin, None
    if name not in GROUPS and not name.startswith("class/"):
        raise unknown("--options y", name, [*NAMES, "class/0"])
    accuracy, origin = run.load(Accuracy, checkpoint)
    shares = accuracy.by_scope()
    if name not in shares:
        raise unknown(f"class of '{run.path}'", name, shares)
    split = str(accuracy.split) if name in GROUPS[1:] else None
    return 100 * shares[name], origin, split
