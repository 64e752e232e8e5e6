"""Analyses started from the page: one ``tailscape diagnose`` at a time, in a process of its own.

A request chooses from fixed lists; nothing of it reaches the command line but names of a run and of
its checkpoints that the server found on disk itself.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock, Thread
from typing import Literal

from cli.inspector.checkpoint_names import epoch_of, is_name
from landscape.analyses.catalogue import ANALYSES
from landscape.errors import InputError, unknown

State = Literal["waiting", "running", "done", "failed", "cancelled"]

RECIPES: dict[str, tuple[str, ...]] = {
    **{name: ("--analyses", name) for name in ANALYSES},
    "embedding": ("--analyses", "features", "--features.embedding", "200", "--overwrite"),
}
SURFACE_POINTS = (3, 11, 25, 51)
_MOST_WAITING = 20
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PATIENCE = ((signal.SIGINT, 3.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0))
_TAIL = 4096  # bytes of output


@dataclass
class Job:
    """One analysis of a run."""

    number: int
    run: str
    recipe: str
    checkpoints: tuple[str, ...]
    command: list[str]
    log: Path
    state: State = "waiting"
    asked: float = field(default_factory=time.monotonic)
    started: float = 0.0
    ended: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it has run."""
        if not self.started:
            return 0.0
        return (self.ended or time.monotonic()) - self.started

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return self.state in {"waiting", "running"}

    def said(self) -> str:
        """The last line of its output, without control codes and bars."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(self.log.stat().st_size - _TAIL, 0))
                text = file.read().decode("utf-8", errors="replace")
        except OSError:
            return ""
        plain = re.sub(r"[━╸╺]+", " ", _ESCAPES.sub("", text))
        lines = [line.strip() for line in re.split(r"[\r\n]+", plain) if line.strip()]
        if self.state == "failed":  # the sentence, not what follows it
            lines = [line for line in lines if "error" in line.lower()] or lines
        return re.sub(r"\s+", " ", lines[-1])[:400] if lines else ""


class Jobs:
    """The queue; one job runs at a time, so that a run has one writer and the page stays quick."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._lock = RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._worker: Thread | None = None
        self._logs: tempfile.TemporaryDirectory[str] | None = None

    def start(
        self,
        run: str,
        path: Path,
        recipe: str,
        checkpoints: Sequence[str],
        *,
        points: int = 25,
        again: bool = False,
    ) -> Job:
        """Queue an analysis; one that waits or runs already is returned as it is.

        Args:
            run: name of the run, for people.
            path: of its folder.
            recipe: a key of :data:`RECIPES`.
            checkpoints: names such as ``epoch_0100`` or ``best``; or ``all`` alone.
            points: along a side of a surface, one of :data:`SURFACE_POINTS`.
            again: overwrite results that exist.

        Raises:
            InputError: a value is not on its list, or too many jobs wait.
        """
        command = arguments(path, recipe, checkpoints, points=points, again=again)
        with self._lock:
            for job in self._jobs:
                if job.is_open and job.command == command:
                    return job
            if sum(job.is_open for job in self._jobs) >= _MOST_WAITING:
                raise InputError(f"{_MOST_WAITING} analyses wait already; let some finish first")
            number = len(self._jobs) + 1
            if self._logs is None:
                self._logs = tempfile.TemporaryDirectory(prefix="tailscape-inspect-")
            log = Path(self._logs.name) / f"{number}.log"
            job = Job(number, run, recipe, tuple(checkpoints), command, log)
            self._jobs.append(job)
            if self._worker is None:
                self._worker = Thread(target=self._work, daemon=True)
                self._worker.start()
        return job

    def listed(self) -> list[Job]:
        """All jobs, the newest first."""
        with self._lock:
            return self._jobs[::-1]

    def finished(self) -> int:
        """How many have ended; grows when there may be new results."""
        with self._lock:
            return sum(not job.is_open for job in self._jobs)

    def cancel(self, number: int) -> None:
        """Stop a job; results it has written stay."""
        with self._lock:
            chosen = [job for job in self._jobs if job.number == number and job.is_open]
            process = self._process
            for job in chosen:
                running = job.state == "running"
                job.state, job.ended = "cancelled", time.monotonic()
                if running and process is not None:
                    Thread(target=_stop, args=(process,), daemon=True).start()

    def close(self) -> None:
        """Stop everything."""
        with self._lock:
            for job in self._jobs:
                if job.is_open:
                    job.state, job.ended = "cancelled", time.monotonic()
            process = self._process
        if process is not None:
            _stop(process)
        if self._logs is not None:
            self._logs.cleanup()

    def _work(self) -> None:
        while True:
            with self._lock:
                job = next((j for j in self._jobs if j.state == "waiting"), None)
                if job is None:
                    self._worker = None
                    return
                job.state, job.started = "running", time.monotonic()
                self._process = _spawn(job)
            code = self._process.wait()
            with self._lock:
                self._process = None
                if job.state == "running":
                    job.state = "failed" if code else "done"
                job.ended = time.monotonic()


def arguments(
    path: Path, recipe: str, checkpoints: Sequence[str], *, points: int = 25, again: bool = False
) -> list[str]:
    """Spell out a command.

    Raises:
        InputError: a value is not on its list.
    """
    if recipe not in RECIPES:
        raise unknown("analysis", str(recipe), RECIPES)
    if points not in SURFACE_POINTS:
        raise unknown("number of points", str(points), [str(n) for n in SURFACE_POINTS])
    for name in checkpoints:
        if not is_name(name) or name.isdigit() or name == "last":
            raise InputError(f"'{name[:40]}' is no checkpoint's name")
    if not checkpoints or ("all" in checkpoints and len(checkpoints) > 1):
        raise InputError("name the checkpoints, or 'all' alone")
    words = checkpoint_words(checkpoints)
    command = ["diagnose", str(path), *RECIPES[recipe], "--checkpoints", words]
    if recipe == "surface":
        command += ["--surface.points", str(points)]
    if again and "--overwrite" not in command:
        command.append("--overwrite")
    return command


def checkpoint_words(checkpoints: Sequence[str]) -> str:
    """Name checkpoints as the command line does: epochs by their number."""
    return ",".join(name if epoch_of(name) is None else str(epoch_of(name)) for name in checkpoints)


def _spawn(job: Job) -> subprocess.Popen[bytes]:
    """Start a process group; colours are forced on because progress is shown only with them."""
    package = str(Path(__file__).resolve().parents[2])
    searched = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH", ""))))
    environment = os.environ | {"PYTHONPATH": searched, "FORCE_COLOR": "1", "COLUMNS": "160"}
    with job.log.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "cli.main", *job.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask, then insist."""
    for number, seconds in _PATIENCE:
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, number)
            process.wait(seconds)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
