"""A scope's samples over several processes of ``torchrun``.

Losses, gradients and the Hessian are linear in the samples: each process holds some of them, and
every product is summed over the processes by one all-reduce. Random vectors come from the same CPU
generators everywhere, so that all processes take the same steps.

Only inside :func:`sharing` does an analysis share its samples: a program that has joined other
processes for its own purposes calls analyses in one of them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

import torch
from torch import Tensor, distributed

from landscape.subject.subject import Selection

_active = ContextVar("active", default=False)
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
    backend = "gloo"
    if torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield distributed.get_rank() == 0
    finally:
        distributed.destroy_process_group()


def processes() -> int:
    """Count the processes joined."""
    return distributed.get_world_size() if _is_joined() else 1


def is_writer() -> bool:
    """Tell whether this process writes files; true without others."""
    return not _is_joined() or distributed.get_rank() == 0


def any_of(flag: bool) -> bool:
    """Tell, in all processes alike, whether the flag is set in one of them."""
    if not _is_joined():
        return flag
    found = torch.tensor(int(flag))
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return bool(found)


def wait_for_all() -> None:
    """Go on only when every process is here."""
    if _is_joined():
        distributed.barrier()


@contextmanager
def sharing(wanted: bool = True) -> Iterator[None]:
    """Let analyses inside share their samples, where there are other processes.

    Args:
        wanted: false where every process computes the whole, or one does alone.
    """
    before = _active.set(wanted)
    try:
        yield
    finally:
        _active.reset(before)


def is_sharing() -> bool:
    """Tell whether samples are shared."""
    return _active.get() and _is_joined()


def own_part(values: Tensor) -> Tensor:
    """Keep this process's rows, every n-th, where samples are shared."""
    if not is_sharing():
        return values
    return values[distributed.get_rank() :: distributed.get_world_size()]


def summed_together(*parts: Tensor) -> list[Tensor]:
    """Sum tensors over the processes that share samples, in float64 and one reduction."""
    if not is_sharing():
        return list(parts)
    flat = torch.cat([part.double().flatten() for part in parts])
    distributed.all_reduce(flat)
    pieces = flat.split([part.numel() for part in parts])
    return [piece.view_as(part).to(part) for piece, part in zip(pieces, parts, strict=True)]


def least(number: int) -> int:
    """Find the least of the numbers of the processes that share samples."""
    if not is_sharing():
        return number
    found = torch.tensor(number)
    distributed.all_reduce(found, distributed.ReduceOp.MIN)
    return int(found)


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
