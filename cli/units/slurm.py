"""Spread independent pieces of work over jobs of Slurm, which submitit submits and reads.

Jobs that Slurm ends before their time, for another job, a limit or a lost machine, are submitted
again; a training among them goes on from its last state.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.units.spread import Item, Result, Tick, warn_of_loss
from landscape.errors import InputError

_ARRAY = 1000  # jobs of one array; Slurm's own limit is 1001
_SECONDS_A_LOOK = 1.0


@dataclass(frozen=True)
class SlurmPlace:
    """Say what a job takes, and where its files go."""

    logs: Path
    cpus: int = 1
    gpus: int = 0
    options: Mapping[str, str] = field(default_factory=dict)  # of sbatch
    cluster: str = "slurm"  # or local: processes of this machine, for a try without Slurm

    def parameters(self) -> dict[str, Any]:
        """Write them as submitit takes them."""
        options = dict(self.options)
        at_once = options.pop("array_parallelism", None)
        found: dict[str, Any] = {"name": "tailscape", "cpus_per_task": self.cpus}
        if self.gpus:
            found["gpus_per_node"] = self.gpus
        if options:
            found["slurm_additional_parameters"] = options
        return found | ({"slurm_array_parallelism": int(at_once)} if at_once else {})


def over_slurm(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    place: SlurmPlace,
    tick: Tick,
    retries: int = 0,
) -> Iterator[tuple[Item, Result]]:
    """Work on items as jobs of Slurm, in arrays.

    Args:
        work: a function of a module.
        items: picklable.
        place: what a job takes.
        tick: called about once a second.
        retries: times that the job of an item is submitted again when it was lost.

    Yields:
        Each item with its result, as it is done.

    Raises:
        InputError: submitit or Slurm is missing, or the job of an item was lost more often.
    """
    submitit = _submitit()
    try:
        executor = submitit.AutoExecutor(folder=place.logs, cluster=place.cluster)
        executor.update_parameters(**place.parameters())
    except (RuntimeError, NameError, ValueError) as error:
        raise InputError(
            f"Slurm takes no jobs from here ({error}); --slurm gives its options"
        ) from error
    lost = Counter[int]()
    waiting: dict[Any, int] = {}
    try:
        waiting |= _submitted(executor, work, items, range(len(items)))
        while waiting:
            time.sleep(_SECONDS_A_LOOK)
            tick()
            for job in [job for job in waiting if job.done()]:
                at = waiting.pop(job)
                try:
                    result = job.result()
                except submitit.core.utils.FailedJobError:
                    raise  # a fault of the work, with its traceback
                except submitit.core.utils.UncompletedJobError as error:
                    lost[at] += 1
                    if lost[at] > retries:
                        raise _given_up(job, place, error) from error
                    warn_of_loss(f"job {job.job_id}", lost[at], retries)
                    waiting |= _submitted(executor, work, items, [at])
                else:
                    yield items[at], result
    finally:
        for job in waiting:
            job.cancel()


def _submitted(
    executor: Any, work: Callable[[Item], Result], items: Sequence[Item], places: Sequence[int]
) -> dict[Any, int]:
    """Submit items in arrays; return the place of each by its job."""
    found: dict[Any, int] = {}
    for start in range(0, len(places), _ARRAY):
        part = places[start : start + _ARRAY]
        jobs = executor.map_array(work, [items[at] for at in part])
        found |= dict(zip(jobs, part, strict=True))
    return found


def _given_up(job: Any, place: SlurmPlace, error: Exception) -> InputError:
    reason = str(error).strip().partition("\n")[0]
    return InputError(
        f"job {job.job_id} was lost more often than --retries says ({reason}); its logs are in "
        f"'{place.logs}'. What is finished is kept, and the same command goes on"
    )


def _submitit() -> Any:
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise InputError(
            "--engine slurm needs submitit; pip install 'tailscape[slurm]' brings it"
        ) from error
    return submitit
