"""Go on with smaller batches where the device, or the host, runs out of memory.

A sum over samples is the same whatever batches it is taken in, so that only the time changes.
"""

import gc
import warnings
from collections.abc import Callable
from typing import TypeVar

import torch

from landscape.errors import InputError, MemoryWarning, Setting

Found = TypeVar("Found")
_HOST = ("can't allocate memory", "out of memory")  # words of PyTorch's allocators


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error is one of memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _HOST)


def out_of_memory(error: BaseException) -> InputError:
    """Build the error for a computation that no batch is small enough for."""
    return InputError(
        f"out of memory ({str(error).partition(chr(10))[0][:200] or type(error).__name__}); take a "
        "device with more, or lower ",
        Setting("batch_size"),
        " and memory budgets",
    )


def with_less_memory(compute: Callable[[], Found], halve: Callable[[], bool]) -> Found:
    """Compute; after running out of memory again, with less at a time.

    Args:
        compute: from the start each time.
        halve: takes less at a time; false where there is nothing less.

    Raises:
        InputError: the least there is does not fit.
    """
    while True:
        try:
            return compute()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failed = out_of_memory(error)
        if not halve():  # outside of the block above, which holds what was allocated
            raise failed
        free_what_is_left()


def in_batches(compute: Callable[[int], Found], batch_size: int) -> Found:
    """Compute in batches, halved as often as memory runs out.

    Args:
        compute: takes the samples of a batch.
        batch_size: to begin with.

    Raises:
        InputError: a batch of one sample does not fit.
    """
    size = batch_size

    def halve() -> bool:
        nonlocal size
        size, before = halved(size), size
        return size < before

    return with_less_memory(lambda: compute(size), halve)


def halved(batch_size: int, of: str = "samples") -> int:
    """Halve a batch, and say so; one sample stays one."""
    smaller = -(-batch_size // 2)
    if smaller < batch_size:
        warnings.warn(
            f"out of memory: {smaller} {of} at a time are taken in place of {batch_size}; the "
            "result is the same",
            MemoryWarning,
            stacklevel=4,
        )
    return smaller


def free_what_is_left() -> None:
    """Give back what freed tensors held."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
