"""A scope's samples over several processes of ``torchrun``.

The Hessian is linear in the samples: each process holds some of them, and every product is summed
over the processes by one all-reduce. Random vectors come from the same CPU generators everywhere,
so that all processes take the same steps.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor, distributed

from landscape.subject.subject import Selection

_PATIENCE = timedelta(days=1)  # one process may compute alone while the others wait


def is_launched() -> bool:
    """Tell whether ``torchrun`` started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def process_group() -> Iterator[bool]:
    """Join the other processes of ``torchrun``, if there are any.

    Yields:
        Whether this is the process that writes; true without others.
    """
    if not is_launched():
        yield True
        return
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield distributed.get_rank() == 0
    finally:
        distributed.destroy_process_group()


def wait_for_all() -> None:
    """Go on only when every process is here."""
    if _is_joined():
        distributed.barrier()


def own_share(selection: Selection) -> Selection:
    """Keep this process's samples, every n-th; their weights stay those of the whole."""
    if not _is_joined():
        return selection
    every = slice(distributed.get_rank(), None, distributed.get_world_size())
    return Selection(selection.indices[every], selection.weights[every])


def summed(part: Tensor) -> Tensor:
    """Sum over the processes, in place."""
    if _is_joined():
        distributed.all_reduce(part)
    return part


def _is_joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()
