"""Analyses started from the page: one ``tailscape diagnose`` at a time, in a separate process.

A request chooses from fixed lists; only names of a run and of its checkpoints that the server found
on disk reach the command line.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock, Thread
from typing import Literal

from landscape.analyses.catalogue import ANALYSES
from landscape.errors import InputError, unknown
from landscape.results.atomic import unwritable
from landscape.results.checkpoint_names import is_name, short

JobState = Literal["waiting", "running", "done", "failed", "cancelled"]

RECIPES: dict[str, tuple[str, ...]] = {
    **{name: ("--analyses", name) for name in ANALYSES},
    "embedding": ("--analyses", "features", "--features.embedding", "200", "--overwrite"),
}
SURFACE_POINTS = (3, 11, 25, 51)
_MOST_WAITING = 20
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CLOCK = re.compile(r"\b(\d+:\d\d:\d\d)$")  # at the end of a progress bar
_PATIENCE = ((signal.SIGINT, 3.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0))
_TAIL = 4096  # bytes of output


@dataclass
class AnalysisJob:
    """One analysis of a run, started from the page."""

    number: int
    run: str
    recipe: str
    checkpoints: tuple[str, ...]
    command: list[str]
    log: Path
    state: JobState = "waiting"
    started: float = 0.0
    ended: float = 0.0
    problem: str = ""  # why it could not be started

    @property
    def seconds(self) -> float:
        """Measure how long it has run."""
        if not self.started:
            return 0.0
        return (self.ended or time.monotonic()) - self.started

    @property
    def is_open(self) -> bool:
        """Tell whether it waits or runs."""
        return self.state in {"waiting", "running"}

    def end(self, state: JobState) -> None:
        """Set the final state and the time of the end."""
        self.state, self.ended = state, time.monotonic()

    def left(self) -> str:
        """Read the time left from its progress, hours, minutes and seconds; empty if unknown."""
        found = _CLOCK.search(self.last_line()) if self.state == "running" else None
        return found[1] if found else ""

    def last_line(self) -> str:
        """Read the last line of its output, without control codes and progress bars."""
        if self.problem:
            return self.problem
        try:
            with self.log.open("rb") as file:
                file.seek(max(self.log.stat().st_size - _TAIL, 0))
                text = file.read().decode("utf-8", errors="replace")
        except OSError:
            return ""
        plain = re.sub(r"[━╸╺]+", " ", _ESCAPES.sub("", text))
        lines = [line.strip() for line in re.split(r"[\r\n]+", plain) if line.strip()]
        if self.state == "failed":  # the error, not the lines after it
            lines = [line for line in lines if "error" in line.lower()] or lines
        return re.sub(r"\s+", " ", lines[-1])[:400] if lines else ""


class JobQueue:
    """Run jobs one at a time, so that a run has one writer and the page stays responsive."""

    def __init__(self) -> None:
        self._jobs: list[AnalysisJob] = []
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
    ) -> AnalysisJob:
        """Queue an analysis, or return the same one if it already waits or runs.

        Args:
            run: name of the run, for display.
            path: its folder.
            recipe: a key of :data:`RECIPES`.
            checkpoints: names such as ``epoch_0100`` or ``best``; or ``all`` alone.
            points: along a side of a surface, one of :data:`SURFACE_POINTS`.
            again: overwrite results that exist.

        Raises:
            InputError: a value is not on its list, the queue is full, or the disk is.
        """
        command = diagnose_arguments(path, recipe, checkpoints, points=points, again=again)
        with self._lock:
            for job in self._jobs:
                if job.is_open and job.command == command:
                    return job
            if sum(job.is_open for job in self._jobs) >= _MOST_WAITING:
                raise InputError(f"{_MOST_WAITING} analyses already wait; let some finish first")
            number = len(self._jobs) + 1
            log = self._log_file(number)
            job = AnalysisJob(number, run, recipe, tuple(checkpoints), command, log)
            self._jobs.append(job)
            if self._worker is None:
                self._worker = Thread(target=self._work, daemon=True)
                self._worker.start()
        return job

    def newest_first(self) -> list[AnalysisJob]:
        """List all jobs, the newest first."""
        with self._lock:
            return self._jobs[::-1]

    def count_finished(self) -> int:
        """Count the jobs that have ended; it grows when there may be new results."""
        with self._lock:
            return sum(not job.is_open for job in self._jobs)

    def cancel(self, number: int) -> None:
        """Stop a job; the results it has written stay."""
        with self._lock:
            for job in self._jobs:
                if job.number == number and job.is_open:
                    running = job.state == "running"
                    job.end("cancelled")
                    if running and self._process is not None:
                        Thread(target=_stop, args=(self._process,), daemon=True).start()

    def close(self) -> None:
        """Stop all jobs."""
        with self._lock:
            for job in self._jobs:
                if job.is_open:
                    job.end("cancelled")
            process = self._process
        if process is not None:
            _stop(process)
        if self._logs is not None:
            self._logs.cleanup()

    def _log_file(self, number: int) -> Path:
        if self._logs is None:
            try:
                self._logs = tempfile.TemporaryDirectory(prefix="tailscape-inspect-")
            except OSError as error:
                raise unwritable(Path(tempfile.gettempdir()) / f"{number}.log", error) from error
        return Path(self._logs.name) / f"{number}.log"

    def _work(self) -> None:
        while True:
            with self._lock:
                job = next((j for j in self._jobs if j.state == "waiting"), None)
                if job is None:
                    self._worker = None
                    return
                job.state, job.started = "running", time.monotonic()
                try:
                    self._process = _spawn(job)
                except OSError as error:
                    job.problem = f"error: it could not be started ({error.strerror or error})"
                    job.end("failed")
                    continue
            code = self._process.wait()
            with self._lock:
                self._process = None
                if job.state == "running":
                    job.end("failed" if code else "done")


def diagnose_arguments(
    path: Path, recipe: str, checkpoints: Sequence[str], *, points: int = 25, again: bool = False
) -> list[str]:
    """Build the arguments of a ``tailscape diagnose`` command.

    Raises:
        InputError: a value is not on its list.
    """
    if recipe not in RECIPES:
        raise unknown("analysis", str(recipe), RECIPES)
    if points not in SURFACE_POINTS:
        raise unknown("number of points", str(points), [str(n) for n in SURFACE_POINTS])
    for name in checkpoints:
        if not is_name(name) or name.isdigit() or name == "last":
            raise InputError(f"'{name[:40]}' is not the name of a checkpoint")
    if not checkpoints or ("all" in checkpoints and len(checkpoints) > 1):
        raise InputError("name the checkpoints, or 'all' alone")
    chosen = checkpoint_argument(checkpoints)
    command = ["diagnose", str(path), *RECIPES[recipe], "--checkpoints", chosen]
    if recipe == "surface":
        command += ["--surface.points", str(points)]
    if again and "--overwrite" not in command:
        command.append("--overwrite")
    return command


def checkpoint_argument(checkpoints: Sequence[str]) -> str:
    """Write checkpoints as the command line names them: epochs by their number."""
    return ",".join(map(short, checkpoints))


def _spawn(job: AnalysisJob) -> subprocess.Popen[bytes]:
    """Start a process group; colours are forced because progress bars need them."""
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
    """Interrupt, then terminate, then kill."""
    for number, seconds in _PATIENCE:
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, number)
            process.wait(seconds)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
