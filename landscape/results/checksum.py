"""Checksums of whole files: a line after a file's own bytes, which readers of HDF5 and zip ignore.

A program that changes an HDF5 file in place cuts the line off, and the file is then one without a
checksum, as those of older versions are. No tensor library is imported here.
"""

import hashlib
import io
import os
import re
from pathlib import Path
from typing import IO

from landscape.errors import InputError

_MARK = b"\ntailscape sha256 "
_LINE = re.compile(rb"\ntailscape sha256 ([0-9a-f]{64}) of ([0-9]{15}) bytes\n")
_LENGTH = len(_MARK) + 64 + len(b" of  bytes\n") + 15


def sealed(content: io.BytesIO) -> memoryview:
    """Append the line with SHA-256 and length of what a buffer holds.

    Args:
        content: all bytes of a file.

    Returns:
        The bytes to be written.
    """
    bare = content.getbuffer()
    digest, length = hashlib.sha256(bare).hexdigest(), len(bare)
    bare.release()
    content.seek(0, os.SEEK_END)
    content.write(_MARK + f"{digest} of {length:015d} bytes\n".encode())
    return content.getbuffer()


def check_whole(path: Path) -> bool:
    """Compare a file with its checksum.

    Args:
        path: of the file.

    Returns:
        Whether it has a checksum; files of older versions have none.

    Raises:
        InputError: the file cannot be read, or is not what was written.
    """
    try:
        with path.open("rb") as file:
            return _is_sealed(file, path)
    except OSError as error:
        raise InputError(f"cannot read '{path}' ({error.strerror or error})") from error


def _is_sealed(file: IO[bytes], path: Path) -> bool:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LENGTH))
    end = file.read()
    found = _LINE.fullmatch(end)
    if found is None:
        if _MARK in end:
            raise _changed(path, "the line of its checksum is damaged")
        return False
    length = int(found[2])
    if length != size - _LENGTH:
        raise _changed(path, f"{size - _LENGTH} bytes in place of {length}")
    if _sha256(file, length) != found[1].decode():
        raise _changed(path, "its content does not have the checksum it was written with")
    return True


def _sha256(file: IO[bytes], length: int) -> str:
    digest, left = hashlib.sha256(), length
    file.seek(0)
    while left:
        block = file.read(min(left, 2**20))
        if not block:
            break
        digest.update(block)
        left -= len(block)
    return digest.hexdigest()


def _changed(path: Path, reason: str) -> InputError:
    return InputError(
        f"'{path}' has changed since it was written ({reason}): a fault of the disk or of a copy; "
        "restore it, or delete it and make it again with the command that wrote it"
    )
