"""Run units of work: one after another in this process, or several at once.

A unit reads files and writes one, so that nothing need pass between them; warm-started spectra
follow each other, and so do analyses of a checkpoint that share its spectra. They go to one worker.
"""

import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cli.units.spread import Item, RayPlace, Result, over_processes, over_ray
from landscape.errors import DataWarning, InputError, MemoryWarning, Setting, WaitingWarning
from landscape.results.claim import Taken

if TYPE_CHECKING:
    from cli.units.inputs import Handover
    from cli.units.unit import Unit

EngineName = Literal["serial", "ray", "slurm"]
Outcome = tuple["Unit", Path | InputError]
_PAUSE = 2.0  # seconds between two looks at what another process holds


@dataclass(frozen=True)
class EngineConfig:
    """Settings of the engine that runs the units."""

    engine: EngineName = "serial"
    """serial: on this machine, one unit (an analysis of a checkpoint, or a training) after another,
    or as many at once as --jobs says; ray: on the cluster that --address or RAY_ADDRESS names, or
    on the cores of this machine (extra ray); slurm: as jobs of Slurm (extra slurm)."""
    jobs: int = 1
    """Units at once on this machine, which share its cores."""
    unit_cpus: int = 1
    """Cores of a unit under Ray or Slurm."""
    unit_gpus: float = 0.0
    """GPUs of a unit under Ray or Slurm; under Ray a share such as 0.25 lets four units use one."""
    retries: int = 2
    """Times that the units of lost workers are run again: killed, out of memory, or their machine
    gone."""
    address: str | None = None
    """Of a Ray cluster, as in ray://head:10001."""
    slurm: tuple[str, ...] = ()
    """Options of sbatch, as in partition=gpu time=12:00:00; array_parallelism limits the jobs that
    run at once."""
    slurm_logs: Path = Path("slurm")
    """Folder of the jobs' scripts and logs; all machines have to see it."""

    @property
    def is_parallel(self) -> bool:
        """Whether units run at once, in processes of their own."""
        return self.engine != "serial" or self.jobs > 1

    def check(self) -> None:
        """Check that values are in range.

        Raises:
            InputError: naming the option.
        """
        if self.jobs < 1:
            raise InputError(f"--jobs is {self.jobs}; it must be at least 1")
        if self.jobs > 1 and self.engine != "serial":
            raise InputError(
                f"--jobs is for this machine alone; {self.engine} counts its own --unit-cpus"
            )
        if self.retries < 0:
            raise InputError(f"--retries is {self.retries}; it must be at least 0")
        if self.address is not None and self.engine != "ray":
            raise InputError("--address is that of a Ray cluster; give --engine ray with it")
        if self.slurm and self.engine != "slurm":
            raise InputError("--slurm gives options of sbatch; give --engine slurm with it")
        for option in self.slurm:
            if not re.fullmatch(r"[a-z][a-z0-9_-]*=[\w:.,+@/-]+", option):
                raise InputError(
                    f"--slurm {option!r} is no option; write NAME=VALUE, as in time=60"
                )
        if self.engine == "slurm" and self.unit_gpus % 1:
            raise InputError(
                f"--unit-gpus is {self.unit_gpus}, and Slurm gives out whole GPUs; Ray shares them"
            )
        if self.unit_cpus < 1:
            raise InputError(f"--unit-cpus is {self.unit_cpus}; it must be at least 1")
        if self.is_parallel and is_launched():
            asked = "--jobs" if self.engine == "serial" else f"--engine {self.engine}"
            raise InputError(f"{asked} starts its own processes; run it without torchrun")
        if not self.unit_gpus >= 0:
            raise InputError(f"--unit-gpus is {self.unit_gpus}; it must be at least 0")


def spread(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    config: EngineConfig,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Item, Result]]:
    """Work on independent items in processes of their own, yielding each as it is done.

    Args:
        work: a function of a module.
        items: picklable.
        config: which processes.
        tick: called about once a second.
    """
    if config.engine == "ray":
        place = RayPlace(config.unit_cpus, config.unit_gpus, config.address)
        return over_ray(work, items, place, tick, config.retries)
    if config.engine == "slurm":
        from cli.units.slurm import SlurmPlace, over_slurm

        options = dict(option.split("=", 1) for option in config.slurm)
        sizes = config.unit_cpus, int(config.unit_gpus)
        return over_slurm(
            work, items, SlurmPlace(config.slurm_logs, *sizes, options), tick, config.retries
        )
    return over_processes(work, items, config.jobs, tick, config.retries)


def is_launched() -> bool:
    """Tell, without PyTorch, whether ``torchrun`` started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def run_units(
    units: "Sequence[Unit]",
    config: EngineConfig,
    progress: "Callable[[Unit, str], None]",
    *,
    writes: bool = True,
) -> "Iterator[Outcome]":
    """Run units, yielding each as it ends; one that cannot be computed stops no other.

    Units that another process computes come last, when it has ended with them.

    Args:
        units: in the order of training, where warm starts follow it.
        config: which engine.
        progress: called with a unit and the name of what it works on; under Ray, when it is done.
        writes: false in a process of ``torchrun`` that only helps with what is shared.

    Yields:
        The unit, and the file written or the error that says why there is none.

    Raises:
        InputError: the run, its data or the model cannot be used, or Ray is not installed.
    """

    def run(left: "Sequence[Unit]") -> "Iterator[Outcome]":
        if config.is_parallel:
            return _in_parallel(left, config, progress)
        return _serially(left, progress, writes)

    yield from until_free(run, units)


def until_free(
    run: "Callable[[Sequence[Item]], Iterator[tuple[Item, Result]]]", items: "Sequence[Item]"
) -> "Iterator[tuple[Item, Result]]":
    """Run items, those that others hold again and again until they are free.

    Args:
        run: runs items; the result of one that is held is :class:`Taken`.
        items: all of them.
    """
    while items:
        taken = []
        for item, result in run(items):
            if isinstance(result, Taken) and not is_launched():
                held = str(result).partition(";")[0]
                warnings.warn(f"{held}; it is waited for", WaitingWarning, stacklevel=3)
                taken.append(item)
            else:
                yield item, result
        items = taken
        if taken:
            time.sleep(_PAUSE)


def not_computed(failures: "Sequence[tuple[Unit, InputError]]", asked: int) -> InputError:
    """Say which units could not be computed, and why.

    Args:
        failures: units, each with its error.
        asked: number of all units.
    """
    if asked == 1:
        return failures[0][1]
    reasons: dict[tuple[str | Setting, ...], list[Unit]] = {}
    for unit, error in failures:
        reasons.setdefault(error.args, []).append(unit)
    parts: list[str | Setting] = [f"{len(failures)} of {asked} results were not computed"]
    for reason, units in reasons.items():
        names = ", ".join(f"{unit.stored_as} of {unit.checkpoint}" for unit in units)
        parts += [f"; {names}: ", *reason]
    return InputError(*parts)


def _serially(
    units: "Sequence[Unit]", progress: "Callable[[Unit, str], None]", writes: bool
) -> "Iterator[Outcome]":
    from functools import partial

    from cli.units.inputs import Handover
    from cli.units.run_unit import open_source

    handover = Handover()
    if len({unit.run for unit in units}) == 1:
        open_source(units[0])  # what all of them need
    for unit in units:
        if not writes and not unit.is_shared:
            continue
        outcome = _outcome(unit, partial(progress, unit), handover, writes=writes)
        if isinstance(outcome, InputError) and is_launched():
            raise outcome  # the other processes would wait for this one
        yield unit, outcome


def _outcome(
    unit: "Unit",
    progress: Callable[[str], None] | None,
    handover: "Handover",
    *,
    writes: bool = True,
) -> Path | InputError:
    from cli.units.run_unit import run_unit

    try:
        return run_unit(unit, progress, handover, writes=writes)
    except InputError as error:
        return error
    except (RuntimeError, MemoryError) as error:
        from landscape.subject.out_of_memory import is_out_of_memory, out_of_memory

        if not is_out_of_memory(error):
            raise
        return out_of_memory(error)


def _in_parallel(
    units: "Sequence[Unit]", config: EngineConfig, progress: "Callable[[Unit, str], None]"
) -> "Iterator[Outcome]":
    for chain, (outcomes, warned) in spread(_work, _chains(units), config):
        for warning in warned:
            warnings.warn(warning, stacklevel=2)
        for unit, outcome in zip(chain, outcomes, strict=True):
            progress(unit, "done")
            yield unit, outcome


def _chains(units: "Sequence[Unit]") -> "list[list[Unit]]":
    """Chain the units that follow each other; all others stand alone."""
    chains: dict[object, list[Unit]] = {}
    for k, unit in enumerate(units):
        place: object = (unit.run, unit.checkpoint) if unit.shares_spectra else k
        if unit.kind == "spectrum" and unit.config.spectrum.warm_start:
            place = "warm"
        chains.setdefault(place, []).append(unit)
    return sorted(chains.values(), key=len, reverse=True)


def _work(chain: "list[Unit]") -> tuple[list[Path | InputError], list[Warning]]:
    """Run a chain in a worker's process; its outcomes, and the warnings that are ours."""
    from cli.units.inputs import Handover
    from landscape.device import keep_freed_memory

    keep_freed_memory()
    handover = Handover()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcomes = [_outcome(unit, None, handover) for unit in chain]
    messages = [one.message for one in caught]
    return outcomes, [m for m in messages if isinstance(m, DataWarning | MemoryWarning)]
