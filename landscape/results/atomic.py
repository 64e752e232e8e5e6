"""Write whole files: a file that exists under its final name is complete."""

import errno
import fcntl
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from landscape.errors import InputError

TEMPORARY = ".tailscape-"  # how unfinished files begin
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BRIEF = {errno.EIO, errno.ESTALE, errno.EAGAIN, errno.EBUSY, errno.ETIMEDOUT}  # of network drives
_PAUSES = (0.1, 1.0)  # seconds before another try


Content = bytes | memoryview | Callable[[IO[bytes]], object]


def atomic_write(path: Path, content: str | Content) -> None:
    """Write ``path`` so that it is never seen half-written, and whatever stood there is not lost.

    A failure of the drive that may be brief is tried again twice.

    Args:
        path: the final name; its folder is created.
        content: text, written in UTF-8, bytes, or a function that writes to a file.

    Raises:
        InputError: the folder cannot be created or written to, or the disk is full.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    pauses = iter(_PAUSES)
    while True:
        try:
            _write(path, data)
            break
        except OSError as error:
            pause = next(pauses, None) if error.errno in _BRIEF else None
            if pause is None:
                raise unwritable(path, error) from error
            time.sleep(pause)


def unwritable(path: Path, error: OSError) -> InputError:
    """Build the error for a file that cannot be written.

    Args:
        path: of the file.
        error: what the system said.
    """
    reason = (error.strerror or str(error)).lower()
    if error.errno in _FULL:
        return InputError(
            f"no room to write '{path}' ({reason}): the disk is full, or a quota or a limit of the "
            "size of files is reached. What was there is kept, and so is all that is finished: "
            "free some space and repeat the command"
        )
    return InputError(f"cannot write to '{path.parent}' ({reason}); choose another folder")


def _write(path: Path, data: Content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(path.parent)
    handle, name = tempfile.mkstemp(prefix=TEMPORARY, suffix=path.suffix, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            _is_locked(handle)  # until the file has its final name
            data(file) if callable(data) else file.write(data)
            file.flush()
            os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())
            _name_finally(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _name_finally(temporary: Path, path: Path) -> None:
    try:
        temporary.replace(path)
    except FileNotFoundError as error:  # removed by a host that does not see the lock
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error


def remove_unfinished(folder: Path) -> None:
    """Remove what writers that were killed left in a folder; one that still writes holds a lock.

    Args:
        folder: of final files.
    """
    for path in folder.glob(f"{TEMPORARY}*"):
        with suppress(OSError), path.open("rb") as file:
            if _is_locked(file.fileno()):
                path.unlink()


def _is_locked(handle: int) -> bool:
    """Take a lock that ends with the process; false where another has it, or there are none."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
