"""Spread independent pieces of work over processes of this machine, or over Ray."""

import logging
import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from landscape.errors import InputError, WaitingWarning

Item = TypeVar("Item")
Result = TypeVar("Result")
Tick = Callable[[], None]

_SECONDS_A_TICK = 1.0


@dataclass(frozen=True)
class RayPlace:
    """Say where tasks run, and what each takes."""

    cpus: int = 1
    gpus: float = 0.0  # a share such as 0.25 lets four tasks use one
    address: str | None = None  # of a cluster; RAY_ADDRESS, or this machine, by default


def over_processes(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    jobs: int,
    tick: Tick,
    retries: int = 0,
) -> Iterator[tuple[Item, Result]]:
    """Work on items in processes of this machine, which share its cores.

    Args:
        work: a function of a module, which a process can import.
        items: picklable.
        jobs: processes at once.
        tick: called about once a second.
        retries: times that what was lost with a process that died is worked on again.

    Yields:
        Each item with its result, as it is done.

    Raises:
        InputError: processes died more often.
    """
    left = dict(enumerate(items))
    for lost in range(retries + 1):
        try:
            for place, result in _over_a_pool(work, left, jobs, tick):
                yield left.pop(place), result
            return
        except BrokenProcessPool as error:
            if lost == retries:
                raise InputError(
                    "a process ended in the middle of its work, killed or out of memory; what is "
                    "finished is kept, and the same command goes on: with fewer --jobs if memory "
                    "is short"
                ) from error
            warn_of_loss("a process", lost + 1, retries)


def warn_of_loss(what: str, lost: int, retries: int) -> None:
    """Warn that a worker was lost, and that its units run again."""
    warnings.warn(
        f"{what} ended in the middle of its work, killed or out of memory; that runs again ({lost} "
        f"of {retries} retries)",
        WaitingWarning,
        stacklevel=3,
    )


def _over_a_pool(
    work: Callable[[Item], Result], items: Mapping[int, Item], jobs: int, tick: Tick
) -> Iterator[tuple[int, Result]]:
    threads = max(1, (os.cpu_count() or 1) // jobs)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _prepare_worker, (threads,)) as pool:
        waiting = {pool.submit(work, item): place for place, item in items.items()}
        try:
            while waiting:
                done, _ = wait(waiting, _SECONDS_A_TICK, FIRST_COMPLETED)
                tick()
                for future in done:
                    yield waiting.pop(future), future.result()
        finally:
            if waiting:  # stopped: the workers would go on
                pool.shutdown(wait=False, cancel_futures=True)
                for process in multiprocessing.active_children():
                    process.terminate()


def over_ray(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    place: RayPlace,
    tick: Tick,
    retries: int = 0,
) -> Iterator[tuple[Item, Result]]:
    """Work on items as tasks of Ray.

    Args:
        work: a function.
        items: picklable.
        place: where tasks run, and what each takes.
        tick: called about once a second.
        retries: times that a task whose worker is lost runs again, on another.

    Yields:
        Each item with its result, as it is done.

    Raises:
        InputError: Ray is not installed or not reached, or a task lost more workers.
    """
    with _ray(place.address) as ray:
        options = {"num_cpus": place.cpus, "num_gpus": place.gpus, "max_retries": retries}
        task = ray.remote(**options)(work)
        waiting = {task.remote(item): item for item in items}
        while waiting:
            done, _ = ray.wait(list(waiting), num_returns=1, timeout=_SECONDS_A_TICK)
            tick()
            for reference in done:
                try:
                    result = ray.get(reference)
                except (ray.exceptions.RayTaskError, ray.exceptions.TaskCancelledError):
                    raise
                except ray.exceptions.RayError as error:
                    raise InputError(
                        f"Ray lost a worker more often than --retries says ({_first_line(error)}); "
                        "what is finished is kept, and the same command goes on"
                    ) from error
                yield waiting.pop(reference), result


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _prepare_worker(threads: int) -> None:
    """Leave an interrupt to the parent, and take a share of the cores."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(threads)


@contextmanager
def _ray(address: str | None) -> Iterator[Any]:
    """Use the Ray that runs, or start one for as long as it is needed."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise InputError(
            "--engine ray needs Ray; pip install 'tailscape[ray]' brings it"
        ) from error
    started = not ray.is_initialized()
    if started:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        own: dict[str, Any] = (
            {"include_dashboard": False} if address is None else {"address": address}
        )
        try:
            ray.init(**quiet, **own)
        except (ConnectionError, ValueError) as error:
            where = address or os.environ.get("RAY_ADDRESS") or "this machine"
            raise InputError(
                f"no Ray at {where} ({_first_line(error)}); start one there"
            ) from error
    try:
        yield ray
    finally:
        if started:
            ray.shutdown()
