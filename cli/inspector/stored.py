"""A run's results for a server: remembered until their file changes, and confined to a folder."""

import html
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import h5py
import numpy as np

from cli.inspector.checkpoint_names import epochs, latest, others
from figures.runs.folder import RunResults
from landscape.errors import InputError
from landscape.results.load import read_record
from landscape.results.provenance import Provenance
from landscape.results.result import Result

Item = TypeVar("Item", bound=Result)


@dataclass(frozen=True)
class StoredRun(RunResults):
    """The result files of one run inside a folder."""

    root: Path = Path()  # resolved; nothing outside is read
    escaped: bool = True  # texts are made safe for pages, which read them as HTML
    shown: str = ""  # what 'last' stands for; the last epoch by default

    def longer_name(self, parts: int) -> str:
        """Name of the folder with those around it."""
        name = super().longer_name(parts)
        return html.escape(name, quote=False) if self.escaped else name

    def checkpoints(self, kind: type[Result]) -> list[str]:
        """Names of the epochs that have a result of this kind, in order."""
        return epochs(self.saved(kind))

    def saved(self, kind: type[Result]) -> list[str]:
        """Names of all checkpoints that have a result of this kind: epochs, then all others."""
        found = {path.stem for path in self._folder(kind).glob("*.h5")}
        return [*epochs(found), *others(found)]

    def load(self, kind: type[Item], checkpoint: str) -> tuple[Item, Provenance]:
        """Read a result, see :meth:`figures.runs.folder.RunResults.load`.

        Raises:
            InputError: there is none, it cannot be read, or it leads out of the folder.
        """
        name = checkpoint
        if checkpoint == "last":
            name = self.shown or latest(self.saved(kind)) or checkpoint
        path = self._folder(kind) / f"{name}.h5"
        if not path.is_file():
            raise self._lacks(kind, checkpoint)
        return self._read(path, kind)

    def find(self, kind: type[Item], checkpoint: str) -> Item | None:
        """Read a result that stands beside another, if there is one that can be read.

        A damaged one is named where it is shown for itself.
        """
        path = self._folder(kind) / f"{checkpoint}.h5"
        try:
            return self._read(path, kind)[0] if path.is_file() else None
        except InputError:
            return None

    def file(self, kind: type[Result], checkpoint: str) -> Path:
        """Path of a result file, checked to lie in the folder.

        Raises:
            InputError: there is none, or it leads out of the folder.
        """
        path = self._folder(kind) / f"{checkpoint}.h5"
        if not path.is_file():
            raise self._lacks(kind, checkpoint)
        self._refuse_outside(path)
        return path

    def _read(self, path: Path, kind: type[Item]) -> tuple[Item, Provenance]:
        self._refuse_outside(path)
        try:
            record, origin = _loaded(path, stamp(path), cast(Any, kind))
        except (OSError, KeyError, TypeError, RuntimeError) as error:
            if isinstance(error, FileNotFoundError):
                raise InputError(f"'{path.name}' was removed a moment ago; look again") from error
            raise InputError(
                f"'{path.name}' of '{self.name}' is no result file of this version ({error}); run "
                "its analysis again with --overwrite"
            ) from error
        return (_safe(record), _safe(origin)) if self.escaped else (record, origin)

    def _refuse_outside(self, path: Path) -> None:
        if not path.resolve().is_relative_to(self.root):
            raise InputError(f"'{path.name}' is a link that leaves the folder inspected; refused")


def stamp(path: Path) -> tuple[int, int]:
    """Tell a file from what it was before: time of change in nanoseconds, and size."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=1024)
def _loaded(path: Path, _stamp: tuple[int, int], kind: type[Result]) -> tuple[Any, Provenance]:
    _refuse_references(path)
    return read_record(path, kind)


def _refuse_references(path: Path) -> None:
    """Refuse HDF5's own ways to name other files: external links, storage and virtual data."""
    try:
        file = h5py.File(path, "r")
    except OSError:
        return  # the reader says what is wrong with it
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


def _safe(record: Any) -> Any:
    """Escape every text of a record or provenance."""
    return replace(record, **{f.name: _escape(getattr(record, f.name)) for f in fields(record)})


def _escape(value: Any) -> Any:
    if isinstance(value, str):
        return html.escape(value, quote=False)
    if isinstance(value, dict):
        return {key: _escape(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_escape(item) for item in value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        safe = [html.escape(str(item), quote=False) for item in value.ravel()]
        return np.array(safe, dtype=str).reshape(value.shape)
    return value
