"""How far the runs of a sweep are, and what is left to do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

from cli.sweeps.file import Sweep, SweepRun
from trainers.config import Plan, TrainConfig
from trainers.runs.folder import RunFolder

if TYPE_CHECKING:
    import torch

    from trainers.data.catalogue import LongTailedData


@dataclass(frozen=True)
class RunState:
    """How far a run is."""

    run: SweepRun
    reached: int  # epochs trained
    epochs: int | None  # of all stages; None before the run is begun
    seconds: float | None  # of an epoch, evaluation included; None before one is trained

    @property
    def is_trained(self) -> bool:
        """Whether the training is at its end."""
        return self.epochs is not None and self.reached == self.epochs

    @property
    def text(self) -> str:
        """The state in words."""
        if self.is_trained:
            return "trained"
        return f"epoch {self.reached} of {self.epochs}" if self.reached else "not begun"


def run_state(run: SweepRun) -> RunState:
    """Read a run's state from its folder.

    Raises:
        InputError: the folder holds something else than a run.
    """
    assert run.config.out is not None
    folder = RunFolder(run.config.out)
    if not folder.config_path.is_file():
        return RunState(run, 0, None, None)
    metrics = folder.metrics()
    pace = fmean(entry["seconds"] for entry in metrics) if metrics else None
    return RunState(run, metrics[-1]["epoch"] if metrics else 0, folder.plan().epochs, pace)


class Estimate:
    """Estimate the seconds of trainings: from epochs trained, else from a few measured steps.

    Args:
        states: of all runs of the sweep; those that differ only in their seed share a pace.
        without_files: measure on black images where a known data set's files are not there.
    """

    def __init__(self, states: Sequence[RunState], *, without_files: bool = False) -> None:
        self._without_files = without_files
        self._paces: dict[TrainConfig, float] = {}
        for state in states:
            if state.seconds is not None:
                self._paces[_but_seed(state.run.config)] = state.seconds
        self._measured: dict[TrainConfig, tuple[float, int]] = {}

    def seconds_left(self, state: RunState) -> float:
        """Estimate what is left of a run's training, in seconds.

        Raises:
            InputError: its data or settings cannot be used.
        """
        if state.is_trained:
            return 0.0
        kind = _but_seed(state.run.config)
        if state.epochs is not None and kind in self._paces:
            return self._paces[kind] * (state.epochs - state.reached)
        if kind not in self._measured:
            from trainers.training import estimate_seconds

            plan, data, device = self._opened(state.run.config)
            whole = self._paces.get(kind, 0.0) * plan.epochs
            self._measured[kind] = (whole or estimate_seconds(plan, data, device), plan.epochs)
        whole, epochs = self._measured[kind]
        return whole * (epochs - state.reached) / epochs

    def _opened(self, config: TrainConfig) -> "tuple[Plan, LongTailedData, torch.device]":
        from cli.commands.train import without_files
        from trainers.data.stand_in import is_absent
        from trainers.training import prepare

        absent = self._without_files and is_absent(config.data, config.data_root)
        return without_files(config) if absent else prepare(config)


def states_of(sweep: Sweep) -> list[RunState]:
    """Read the state of every run."""
    return [run_state(run) for run in sweep.runs]


def _but_seed(config: TrainConfig) -> TrainConfig:
    return replace(config, seed=0, out=None)
