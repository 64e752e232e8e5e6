"""The folder of runs, read lazily: names by listing, one small file a run, results when shown.

No file outside the folder is opened: names are resolved; links that lead out of it, and links
inside result files, are rejected. Nothing is unpickled.
"""

import json
import os
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cli.inspector.panel_catalogue import PANELS
from cli.inspector.stored import StoredRun, check_inside, stamp
from landscape.errors import InputError
from landscape.results.checkpoint_names import is_name, latest, ordered
from landscape.results.claim import holder_of
from landscape.results.spectrum import Spectrum
from trainers.runs.folder import LOCK

Content = TypeVar("Content")
_WHOLE = {kind.record.analysis_name() for kind in PANELS.values() if kind.whole}
_DEPTH = 3  # folders of folders of runs
_TAIL_BYTES = 65_536  # of metrics.jsonl, for its last whole line


@dataclass(frozen=True)
class Facts:
    """The columns of a run that are read from its small files."""

    name: str
    method: str = ""
    data: str = ""
    imbalance: float = float("nan")
    seed: int | None = 0
    epoch: int | None = 0  # reached
    accuracy: float = float("nan")  # share, on test, the last measured
    problem: str = ""  # a sentence, when it cannot be read


@dataclass(frozen=True)
class Curvature:
    """The columns of a run's last spectrum: of its tail, else overall, else its last scope."""

    scope: str = ""
    ratio: float = float("nan")
    verdict: str = ""


@dataclass(frozen=True)
class Library:
    """A folder of runs."""

    root: Path  # resolved

    @staticmethod
    def open(folder: Path) -> "Library":
        """Open a folder.

        Raises:
            InputError: there is no such folder.
        """
        if not folder.is_dir():
            raise InputError(f"'{folder}' is not a folder; give the folder that holds the runs")
        return Library(folder.resolve())

    def names(self) -> list[str]:
        """List the runs, relative to the folder; a folder that is itself a run is named '.'."""
        if (self.root / "config.json").is_file():
            return ["."]
        return sorted(self._found(self.root, _DEPTH))

    def newest(self, count: int = 2) -> tuple[str, ...]:
        """Choose the runs whose results changed last, on the data of the first of them."""
        changed = {name: self._changed(name) for name in self.names()}
        order = sorted(changed, key=lambda name: (changed[name], name), reverse=True)
        found: list[Facts] = []
        for name in order:
            facts = self.facts(name)
            alike = not found or (facts.data == found[0].data and changed[name][0])
            if alike and not facts.problem:
                found.append(facts)
            if len(found) == count:
                break
        return tuple(facts.name for facts in found)

    def _changed(self, name: str) -> tuple[bool, int]:
        """Tell whether a run has a spectrum, and when a result or the run itself was written."""
        path = self.root / name
        stored = [folder.stat().st_mtime_ns for folder in (path / "results").glob("*")]
        return (path / "results" / "spectrum").is_dir(), max(
            [*stored, (path / "config.json").stat().st_mtime_ns]
        )

    def path(self, name: str) -> Path:
        """Resolve the name of a run.

        Raises:
            InputError: there is no such run in the folder.
        """
        parts = Path(name).parts
        usable = "\0" not in name and ".." not in parts and not Path(name).is_absolute()
        if usable and len(parts) <= _DEPTH and len(name) < 1000:
            path = (self.root / name).resolve()
            config = (path / "config.json").resolve()
            if all(p.is_relative_to(self.root) for p in (path, config)) and config.is_file():
                return path
        raise InputError(f"there is no run '{name[:100]}' in '{self.root.name}'")

    def run(self, name: str, *, escaped: bool = True, shown: str = "") -> StoredRun:
        """Open a run's results.

        Args:
            name: of the run.
            escaped: escape its texts for HTML.
            shown: the checkpoint that ``last`` stands for.

        Raises:
            InputError: there is no such run in the folder.
        """
        return StoredRun(self.path(name), root=self.root, escaped=escaped, shown=shown)

    def facts(self, name: str) -> Facts:
        """Read a run's configuration and the last line of its metrics."""
        try:
            path = self.path(name)
            config = self.config(name)
            plan, is_external = config["plan"], "outside" in config
            metrics = check_inside(path / "metrics.jsonl", self.root)
            last = _read_cached(metrics, _last_metrics) or {}
            return Facts(
                name,
                str(plan["method"]),
                str(plan["data"]),
                float(plan["imbalance"]),
                None if plan["seed"] is None else int(plan["seed"]),
                None if is_external else int(last.get("epoch", 0)),
                float(last.get("test_accuracy", "nan")),
            )
        except InputError as error:
            return Facts(name, problem=str(error))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return Facts(name, problem=f"its configuration or metrics cannot be read ({error})")

    def config(self, name: str) -> dict[str, Any]:
        """Read a run's ``config.json``.

        Raises:
            InputError: there is no such run, or the file is damaged.
        """
        file = check_inside(self.path(name) / "config.json", self.root)
        found = _read_cached(file, _config)
        if not isinstance(found, dict) or not isinstance(found.get("plan"), dict):
            raise InputError(f"config.json of '{name}' is damaged or holds no run configuration")
        return found

    def external_command(self, name: str) -> str | None:
        """Read the command that diagnoses an external model; None for a run of ``train``.

        Every word is quoted again, so that a shell runs nothing else of a text found in a file. It
        is empty if the file holds no such command.

        Raises:
            InputError: there is no such run, or its configuration is damaged.
        """
        config = self.config(name)
        if "outside" not in config:
            return None
        stored = config["outside"]
        text = stored.get("command") if isinstance(stored, dict) else None
        try:
            parts = shlex.split(text) if isinstance(text, str) and text.isprintable() else []
        except ValueError:
            return ""
        return shlex.join(parts) if parts[:2] == ["tailscape", "diagnose"] else ""

    def curvature(self, name: str) -> Curvature:
        """Read the curvature of the tail from a run's last spectrum; empty without one."""
        try:
            run = self.run(name, escaped=False)
            last = latest(run.saved(Spectrum))
            if last is None:
                return Curvature()
            record, _ = run.load(Spectrum, last)
        except InputError:
            return Curvature(verdict="unreadable")
        scopes = [str(scope) for scope in record.scope]
        scope = next((s for s in ("tail", "overall") if s in scopes), scopes[-1] if scopes else "")
        if not scope:
            return Curvature()
        at = record.index(scope)
        return Curvature(scope, float(record.nonconvexity[at]), str(record.verdict[at]))

    def checkpoints(self, name: str) -> list[str]:
        """List the stored or diagnosed checkpoints of a run: its course, then others."""
        path = self.path(name)
        found = {p.stem for p in (path / "checkpoints").glob("*.pt")} - {"last"}
        found |= {p.stem for p in (path / "results").glob("*/*.h5") if p.parent.name not in _WHOLE}
        return [name for name in ordered(found) if is_name(name)]

    def is_being_trained(self, name: str) -> bool:
        """Tell whether a training writes the run."""
        return holder_of(self.path(name) / LOCK) is not None

    def _found(self, folder: Path, depth: int) -> Iterator[str]:
        """Walk down to the run folders, without following links further."""
        try:
            entries = [e for e in os.scandir(folder) if not e.name.startswith(".")]
        except OSError:
            return
        for entry in entries:
            path = Path(entry.path)
            if not entry.is_dir() or not path.resolve().is_relative_to(self.root):
                continue
            if (path / "config.json").is_file():
                yield path.relative_to(self.root).as_posix()
            elif depth > 1 and not entry.is_symlink():
                yield from self._found(path, depth - 1)


def _read_cached(path: Path, read: Callable[[Path], Content]) -> Content | None:
    """Read a file once until it changes; None without the file."""
    try:
        found: Content = _read(path, stamp(path), read)
        return found
    except OSError:
        return None


@lru_cache(maxsize=4096)
def _read(path: Path, _stamp: tuple[int, int], read: Callable[[Path], Any]) -> Any:
    return read(path)


def _config(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None


def _last_metrics(path: Path) -> dict[str, Any]:
    """Read the last whole line and the last accuracy; a training may be writing the file."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        lines = file.read().splitlines()
    found: dict[str, Any] = {}
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            found = entry | found
            if np.isfinite(found.get("test_accuracy", np.nan)):
                break
    return found
