"""A run's results for a server: cached until their file changes, and confined to a folder."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import h5py

from figures.runs.folder import RunResults
from figures.runs.markup import page_texts
from landscape.errors import InputError
from landscape.results.checkpoint_names import course, is_name, latest, ordered
from landscape.results.load import read_record
from landscape.results.provenance import Provenance
from landscape.results.result import Result

ResultRecord = TypeVar("ResultRecord", bound=Result)


@dataclass(frozen=True)
class StoredRun(RunResults):
    """The result files of one run inside a folder."""

    root: Path = Path()  # resolved; nothing outside it is read
    escaped: bool = True  # texts are escaped, because pages read them as HTML
    shown: str = ""  # the checkpoint that 'last' stands for; the last epoch by default

    def checkpoints(self, kind: type[Result]) -> list[str]:
        """List the epochs, or else the steps, that have a result of this kind, in order."""
        return course(self.saved(kind))

    def saved(self, kind: type[Result]) -> list[str]:
        """List the checkpoints that have a result of this kind: the course, then others."""
        found = {path.stem for path in self._folder(kind).glob("*.h5")}
        return [name for name in ordered(found) if is_name(name)]

    def load(self, kind: type[ResultRecord], checkpoint: str) -> tuple[ResultRecord, Provenance]:
        """Read a result, see :meth:`figures.runs.folder.RunResults.load`.

        Raises:
            InputError: there is none, it cannot be read, or it leads out of the folder.
        """
        name = checkpoint
        if checkpoint == "last":
            name = self.shown or latest(self.saved(kind)) or checkpoint
        return self._read(self.file(kind, name), kind)

    def origin(self, kind: type, checkpoint: str) -> Provenance:
        """Return the provenance of a result; see :meth:`load`."""
        return self.load(kind, checkpoint)[1]

    def find(self, kind: type[ResultRecord], checkpoint: str) -> ResultRecord | None:
        """Read a result if there is one that can be read.

        A damaged file is reported by the panel that shows it.
        """
        try:
            return self._read(self.file(kind, checkpoint), kind)[0]
        except InputError:
            return None

    def file(self, kind: type[Result], checkpoint: str) -> Path:
        """Find a result file and check that it lies in the folder.

        Raises:
            InputError: there is none, or it is a link that leads out of the folder.
        """
        path = self._folder(kind) / f"{checkpoint}.h5"
        if not path.is_file():
            raise self._lacks(kind, checkpoint)
        return check_inside(path, self.root)

    def _read(self, path: Path, kind: type[ResultRecord]) -> tuple[ResultRecord, Provenance]:
        try:
            record, origin = _load_cached(path, stamp(path), cast(Any, kind))
        except (OSError, KeyError, TypeError, RuntimeError) as error:
            if isinstance(error, FileNotFoundError):
                raise InputError(f"'{path.name}' has just been removed; reload the page") from error
            raise InputError(
                f"'{path.name}' of '{self.name}' is not a result file of this version ({error}); "
                "run its analysis again with --overwrite"
            ) from error
        return page_texts((record, origin)) if self.escaped else (record, origin)


def check_inside(path: Path, root: Path) -> Path:
    """Check that a path does not lead out of a folder, and return it.

    Raises:
        InputError: it is a link that does.
    """
    if not path.resolve().is_relative_to(root):
        raise InputError(f"'{path.name}' is a link that leaves '{root.name}'; refused")
    return path


def stamp(path: Path) -> tuple[int, int]:
    """Identify a file's content by its time of change in nanoseconds and its size."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=1024)
def _load_cached(path: Path, _stamp: tuple[int, int], kind: type[Result]) -> tuple[Any, Provenance]:
    _check_self_contained(path)
    return read_record(path, kind)


def _check_self_contained(path: Path) -> None:
    """Check that an HDF5 file names no other file: no links, external storage or virtual data."""
    try:
        file = h5py.File(path, "r")
    except OSError:
        return  # the reader reports the error
    with file:
        groups = [file]
        while groups:
            group = groups.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise InputError(f"'{path.name}' holds links to other places; refused")
                item = group[name]
                if isinstance(item, h5py.Group):
                    groups.append(item)
                elif isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
                    raise InputError(f"'{path.name}' keeps data in other files; refused")
