"""Train the runs of a sweep that are not trained yet."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cli.sweeps.file import SweepRun
from cli.sweeps.state import run_state
from cli.units.engine import EngineConfig, spread, until_free
from landscape.errors import InputError

Trained = tuple[SweepRun, InputError | None]


def train_runs(
    runs: Sequence[SweepRun], engine: EngineConfig, progress: Callable[[int], None]
) -> Iterator[Trained]:
    """Train runs; one that cannot be trained stops no other, and one that others train comes last.

    Args:
        runs: not trained yet; one that was stopped goes on.
        engine: how they are spread.
        progress: called with the number of epochs that all of them have reached.

    Yields:
        Each run as it ends, with the error that stopped it.
    """

    def tick() -> None:
        progress(sum(run_state(run).reached for run in runs))

    def train(left: Sequence[SweepRun]) -> Iterator[Trained]:
        if engine.is_parallel:
            yield from spread(_train, left, engine, tick)
            return
        for run in left:
            yield run, _train(run, lambda _: tick())

    yield from until_free(train, runs)


def _train(
    run: SweepRun, report: Callable[[dict[str, Any]], None] | None = None
) -> InputError | None:
    from landscape.device import keep_freed_memory
    from trainers.training import train

    keep_freed_memory()
    try:
        train(run.config, report)
    except InputError as error:
        return error
    return None
