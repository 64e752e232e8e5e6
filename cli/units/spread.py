"""Spread independent pieces of work over processes of this machine, or over Ray."""

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from landscape.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")
Tick = Callable[[], None]

_SECONDS_A_TICK = 1.0


def over_processes(
    work: Callable[[Item], Result], items: Sequence[Item], jobs: int, tick: Tick
) -> Iterator[tuple[Item, Result]]:
    """Work on items in processes of this machine, which share its cores.

    Args:
        work: a function of a module, which a process can import.
        items: picklable.
        jobs: processes at once.
        tick: called about once a second.

    Yields:
        Each item with its result, as it is done.

    Raises:
        InputError: a process died.
    """
    threads = max(1, (os.cpu_count() or 1) // jobs)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _prepare_worker, (threads,)) as pool:
        waiting = {pool.submit(work, item): item for item in items}
        try:
            while waiting:
                done, _ = wait(waiting, _SECONDS_A_TICK, FIRST_COMPLETED)
                tick()
                for future in done:
                    yield waiting.pop(future), future.result()
        except BrokenProcessPool as error:
            raise InputError(
                "a process ended in the middle of its work, killed or out of memory; what is "
                "finished is kept, and the same command goes on: with fewer --jobs if memory is "
                "short"
            ) from error
        finally:
            if waiting:  # stopped: the workers would go on
                pool.shutdown(wait=False, cancel_futures=True)
                for process in multiprocessing.active_children():
                    process.terminate()


def over_ray(
    work: Callable[[Item], Result], items: Sequence[Item], cpus: int, gpus: float, tick: Tick
) -> Iterator[tuple[Item, Result]]:
    """Work on items as tasks of Ray.

    Args:
        work: a function.
        items: picklable.
        cpus: cores of a task.
        gpus: of a task; a share such as 0.25 lets four tasks use one.
        tick: called about once a second.

    Yields:
        Each item with its result, as it is done.

    Raises:
        InputError: Ray is not installed.
    """
    with _ray() as ray:
        task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(work)
        waiting = {task.remote(item): item for item in items}
        while waiting:
            done, _ = ray.wait(list(waiting), num_returns=1, timeout=_SECONDS_A_TICK)
            tick()
            for reference in done:
                yield waiting.pop(reference), ray.get(reference)


def _prepare_worker(threads: int) -> None:
    """Leave an interrupt to the parent, and take a share of the cores."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(threads)


@contextmanager
def _ray() -> Iterator[Any]:
    """Use the Ray that runs, or start one for as long as it is needed."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise InputError(
            "--engine ray needs Ray; pip install 'tailscape[ray]' brings it"
        ) from error
    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    try:
        yield ray
    finally:
        if started:
            ray.shutdown()
