"""Rows of the reproduction table, made on a GPU until the time is up."""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import rows
from tests.benchmarks.gpu_session import Session
from trainers.runs.folder import RunFolder

# what a method is called in the table: its sentence and further options
ROWS = {
    "ce": ("ce", ["--recipe", "a"]),
    "ce-drw": ("ce-drw", ["--recipe", "a"]),
    "ce-drw+sam": ("ce-drw+sam", ["--recipe", "a", "--rho", "0.5"]),
    "ldam-drw+sam": ("ldam-drw+sam", ["--recipe", "a"]),
    "la+focal-sam": ("la+focal-sam", ["--recipe", "b", "--rho", "0.2"]),
    "crt-mixup+plot": ("crt-mixup+plot", ["--recipe", "d"]),
}
FIRST = ("ce", "ce-drw", "ce-drw+sam")  # of these, with seed 0, every kept epoch is diagnosed
EPOCHS = (200, 160, 190, 170, 50, 10)


@dataclass
class Job:
    """A command of the product for a row: its training, or an analysis of one of its epochs."""

    name: str
    seed: int
    epoch: int | None = None  # to diagnose; None: the training

    @property
    def label(self) -> str:
        """The run's name."""
        return f"{self.name}-seed{self.seed}"

    @property
    def log(self) -> str:
        """The file of its output."""
        return f"{self.label}{'' if self.epoch is None else f'-epoch{self.epoch}'}.txt"

    @property
    def turn(self) -> tuple[bool, bool, int, int]:
        """What comes first: the first methods' trainings, then their epochs; then the others."""
        diagnosis = 0 if self.epoch is None else 1 + EPOCHS.index(self.epoch)
        return self.name not in FIRST, self.seed > 0 and diagnosis > 0, diagnosis, self.seed


def train_rows(session: Session, mode: str, precision: str, at_once: int) -> None:
    """Train and diagnose rows until the time is up; keep each as it is finished."""
    waiting = [Job(name, seed) for seed in (0, 1, 2) for name in ROWS]
    if session.tiny:
        waiting = [Job("ce-drw+sam", 0)]
    runs, active = session.runs, list[tuple[Job, subprocess.Popen[bytes]]]()
    for job in [job for job in waiting if _is_trained(runs / job.label)]:
        waiting.remove(job)
        waiting += _following(session, runs, job, 0)
    waiting.sort(key=lambda job: job.turn)
    while session.left > 5 and (waiting or active):
        while waiting and len(active) < at_once:
            job = waiting.pop(0)
            command = _command(session, runs, job, mode, precision)
            active.append((job, session.start(command, job.log)))
        for job, process in list(active):
            if process.poll() is not None:
                active.remove((job, process))
                waiting += _following(session, runs, job, process.returncode)
                waiting.sort(key=lambda job: job.turn)
        time.sleep(0.2)
    for job, process in active:
        process.kill()
        process.wait()
        session.say(f"{job.log}: not finished")
        if job.epoch is not None:  # what stands of it
            rows.keep(runs / job.label, session.out)
    session.say(f"not run: {', '.join(job.log for job in waiting) or 'none'}")
    rows.write_table(session.out)


def _is_trained(run: Path) -> bool:
    """Whether a run that was brought along is finished, on whatever machine."""
    folder = RunFolder(run)
    if not folder.config_path.is_file():
        return False
    done = [entry["epoch"] for entry in folder.metrics()]
    return bool(done) and max(done) == folder.plan().epochs


def _command(session: Session, runs: Path, job: Job, mode: str, precision: str) -> list[str]:
    run, shared = str(runs / job.label), ["--device", session.device]
    if job.epoch is not None:
        asked = ["--scopes", "classes", "--samples-per-class", "500"]
        asked += ["--spectrum.memory-budget", "8", "--checkpoints", str(job.epoch)]
        if session.tiny:
            asked = ["--scopes", "tail", "--spectrum.trace-probes", "0"]
        return ["cli.main", "diagnose", run, *shared, *asked]
    method, options = ROWS[job.name]
    if session.images is None:
        options = ["--model", "resnet8", "--epochs", "2"]
    compiled = [] if mode == "eager" else ["--compile"]
    arguments = ["cli.main", "train", "--method", method, *session.data(), *shared]
    arguments += ["--precision", precision, "--eval-every", "10", "--seed", str(job.seed)]
    return [*arguments, *compiled, "--out", run, *options]


def _following(session: Session, runs: Path, job: Job, code: int) -> list[Job]:
    """Keep what a job left behind, and name the jobs that follow it."""
    if code:
        session.say(f"{job.log}: failed with {code}")
        return []
    kept = rows.keep(runs / job.label, session.out)
    rows.write_table(session.out)
    if job.epoch is not None:
        session.say(f"{job.log}: done")
        return []
    session.say(f"{job.label}: {json.dumps(rows.row(kept))}")
    if session.tiny:
        return [Job(job.name, job.seed, EPOCHS[0])]
    epochs = EPOCHS if job.name in FIRST and job.seed == 0 else EPOCHS[:1]
    return [Job(job.name, job.seed, epoch) for epoch in epochs]
