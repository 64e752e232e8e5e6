"""Claim a file as the only process that works on it, on this machine or one that shares its disk.

A claim is a lock of the operating system on a file that names its holder; it ends with the process,
however that ends. No tensor library is imported here.
"""

import fcntl
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from landscape.errors import InputError

_PATIENCE = 2.0  # seconds in which a new holder has written its name


class Taken(InputError):
    """Another process holds what this one asks for."""


@contextmanager
def claimed(path: Path, what: str) -> Iterator[None]:
    """Hold a claim until the end of the block.

    Args:
        path: of the lock file; it is removed afterwards.
        what: is claimed, for the message.

    Raises:
        Taken: another process holds it.
        OSError: the file cannot be made, or its system has no locks.
    """
    handle = _locked(path, what)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        with suppress(OSError):  # while it is locked, so that nobody else's is removed
            path.unlink()
        os.close(handle)


def holder_of(path: Path) -> str | None:
    """Name the process that holds a claim; ``None`` where none does.

    Args:
        path: of the lock file.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return None if _has_lock(handle, fcntl.LOCK_SH) else _named(path)
    finally:
        os.close(handle)


def _locked(path: Path, what: str) -> int:
    until = time.monotonic() + _PATIENCE
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if _has_lock(handle, fcntl.LOCK_EX) and _is_at(handle, path):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        holder = _named(path)
        # just after it was taken, the name of a holder that was killed may stand there
        if (holder and not _is_gone(holder)) or time.monotonic() > until:
            raise Taken(
                f"{what} is being written by {holder or 'another process'}; wait for it, or choose "
                "another --out"
            )
        time.sleep(0.02)


def _has_lock(handle: int, kind: int) -> bool:
    """Take a lock unless another process has it.

    Raises:
        OSError: the file system has none.
    """
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(handle: int, path: Path) -> bool:
    """Tell whether it is still the file of that name, which the last holder has removed."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _named(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _is_gone(holder: str) -> bool:
    """Tell whether a holder on this machine has ended."""
    found = re.fullmatch(r"process (\d+) on (.+)", holder)
    if found is None or found[2] != socket.gethostname():
        return False
    try:
        os.kill(int(found[1]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False
