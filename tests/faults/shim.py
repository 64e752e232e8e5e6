"""Count the calls by which files come about, and let the n-th of them fail."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import h5py
import torch

COUNTED = ("mkdir", "mkstemp", "write", "fsync", "chmod", "replace", "torch.save", "HDF5", "claim")


def refusal(number: int = errno.ENOSPC) -> Callable[[], None]:
    """What a call does that the system refuses."""

    def refuse() -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@dataclass
class Shim:
    """Let the n-th counted call fail, and with ``for_ever`` all after it."""

    at: int = 0  # none by default
    for_ever: bool = False
    fail: Callable[[], None] = field(default_factory=refusal)
    calls: list[str] = field(default_factory=list)

    def count(self, name: str) -> None:
        self.calls.append(name)
        n = len(self.calls)
        if n == self.at or (self.for_ever and n > self.at > 0):
            self.fail()


class _Written:
    """A file whose writes are counted; the one that fails has written half."""

    def __init__(self, file: Any, shim: Shim) -> None:
        self._file, self._shim = file, shim

    def write(self, data: Any) -> int:
        try:
            self._shim.count("write")
        except BaseException:
            self._file.write(memoryview(data)[: len(data) // 2])
            raise
        return self._file.write(data)

    def __enter__(self) -> "_Written":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def installed(shim: Shim) -> Iterator[Shim]:
    """Put the shim between the product and the system."""

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            shim.count(name)
            return function(*arguments, **options)

        return call

    fdopen = os.fdopen

    def opened(*arguments: Any, **options: Any) -> Any:
        file = fdopen(*arguments, **options)
        return _Written(file, shim) if "w" in arguments[1] else file

    with ExitStack() as stack:
        for owner, name, told in (
            (os, "mkdir", "mkdir"),
            (tempfile, "mkstemp", "mkstemp"),
            (os, "fsync", "fsync"),
            (os, "chmod", "chmod"),
            (os, "replace", "replace"),
            (os, "ftruncate", "claim"),
            (torch, "save", "torch.save"),
            (h5py.Group, "create_dataset", "HDF5"),
        ):
            stack.enter_context(patch.object(owner, name, counted(told, getattr(owner, name))))
        stack.enter_context(patch("os.fdopen", opened))
        stack.enter_context(patch("landscape.results.atomic.time.sleep"))
        yield shim
