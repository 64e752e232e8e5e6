"""Read the results of runs, at one checkpoint or over training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np

from figures.runs.folder import Item, RunResults
from figures.runs.labels import run_labels, scope_label
from landscape.results import InputError
from landscape.results.checkpoint_names import course, number_of, unit_of
from landscape.results.fields import Array
from landscape.results.provenance import Provenance
from landscape.results.remedy import checkpoints_of, remedy


@dataclass(frozen=True)
class Snapshot(Generic[Item]):
    """The result of a run at one checkpoint."""

    label: str  # of the run
    run: RunResults
    record: Item
    origin: Provenance

    def scope_label(self, scope: str) -> str:
        """Name a scope, see :func:`figures.runs.labels.scope_label`."""
        return scope_label(scope, self.origin.config)


@dataclass(frozen=True)
class History(Generic[Item]):
    """The results of a run over training."""

    label: str  # of the run
    run: RunResults
    at: Array  # (T,) epochs, or steps
    unit: str  # which of them
    records: Sequence[Item]  # (T,)
    origins: Sequence[Provenance]  # (T,)

    @property
    def reweighting(self) -> int | None:
        """The epoch at which deferred re-weighting begins, where it does."""
        config: dict[str, Any] = self.origins[-1].config
        begins: int | None = config["plan"]["reweighting_epoch"]
        return begins

    def hover(self, value: str, name: str = "") -> str:
        """Write plotly's template of a point: its epoch or step, and its value."""
        return f"{name}{self.unit} %{{x}}: {value}"

    def scope_label(self, scope: str) -> str:
        """Name a scope, see :func:`figures.runs.labels.scope_label`."""
        return scope_label(scope, self.origins[-1].config)


def snapshots(
    runs: Sequence[RunResults], kind: type[Item], checkpoint: str
) -> list[Snapshot[Item]]:
    """Read the result of every run at a checkpoint.

    Args:
        runs: the runs.
        kind: the record, for example :class:`Features`.
        checkpoint: see :meth:`RunResults.load`.

    Raises:
        InputError: a run has none; the message gives the command that makes it.
    """
    loaded = [run.load(kind, checkpoint) for run in runs]
    labels = run_labels([origin for _, origin in loaded], runs)
    return [
        Snapshot(label, run, record, origin)
        for label, run, (record, origin) in zip(labels, runs, loaded, strict=True)
    ]


def histories(runs: Sequence[RunResults], kind: type[Item]) -> list[History[Item]]:
    """Read the results of every epoch, or else step, of every run, in order of training.

    Args:
        runs: the runs.
        kind: the record, for example :class:`Features`.

    Raises:
        InputError: a run has none; the message gives the command that makes them.
    """
    loaded = [_whole_course(run, kind) for run in runs]
    labels = run_labels([found[-1][2] for found in loaded], runs)
    return [
        History(label, run, *_counted(found), *_columns(found))
        for label, run, found in zip(labels, runs, loaded, strict=True)
    ]


def _whole_course(run: RunResults, kind: type[Item]) -> list[tuple[str, Item, Provenance]]:
    names = run.checkpoints(kind)
    if not names:
        analysis = kind.analysis_name()
        stored = sorted(p.stem for p in (run.path / "results" / analysis).glob("[!.]*.h5"))
        held = f" of an epoch or step, only of {', '.join(stored)}" if stored else ""
        if stored and course(checkpoints_of(run.path)) == []:
            made = "a figure over training needs checkpoints named by their epoch, as epoch_0010"
        else:
            made = remedy(run.path, analysis, "all")
        raise InputError(f"'{run.path}' has no {analysis}{held}; {made}")
    return [(name, *run.load(kind, name)) for name in names]


def _counted(found: Sequence[tuple[str, Item, Provenance]]) -> tuple[Array, str]:
    return np.array([number_of(name) for name, _, _ in found]), unit_of(found[-1][0])


def _columns(
    found: Sequence[tuple[str, Item, Provenance]],
) -> tuple[list[Item], list[Provenance]]:
    return [record for _, record, _ in found], [origin for _, _, origin in found]
