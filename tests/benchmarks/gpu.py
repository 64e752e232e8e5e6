"""What a GPU is asked when there is one for some minutes: make gpu GPU="--images … --out …".

In order, each within its share of the time: the tests marked ``gpu``; the seconds that 200 epochs
take, eager, compiled and replayed as CUDA graphs; the curvature benchmark; then rows of the
reproduction table by the product's own commands, several at once where that is faster, until the
time is up. Everything is written to ``--out`` as soon as it is known. Nothing is installed or
downloaded: a checkout on the path and importable packages are enough. ``--tiny`` is the rehearsal,
on digits.
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import torch

from cli.commands.crosscheck_peers import PEERS
from landscape.device import choose_device, machine_name
from landscape.results.atomic import atomic_write
from tests.benchmarks import rows
from trainers.config import TrainConfig
from trainers.forward import CompileMode
from trainers.trainer import Trainer
from trainers.training import prepare

ROOT = Path(__file__).parents[2]
# what a method is called in the table: its sentence and further options
ROWS = {
    "ce": ("ce", ["--recipe", "a"]),
    "ce-drw": ("ce-drw", ["--recipe", "a"]),
    "ce-drw+sam": ("ce-drw+sam", ["--recipe", "a", "--rho", "0.5"]),
    "ldam-drw+sam": ("ldam-drw+sam", ["--recipe", "a"]),
    "la+focal-sam": ("la+focal-sam", ["--recipe", "b", "--rho", "0.2"]),
    "crt-mixup+plot": ("crt-mixup+plot", ["--recipe", "d"]),
}
# parts, in order, and what share of the time each may take; rows take what is left
SHARES = {"tests": 0.25, "speed": 0.2, "at-once": 0.1, "curvature": 0.15, "rows": 0.3}
FIRST = ("ce", "ce-drw", "ce-drw+sam")  # of these, with seed 0, every kept epoch is diagnosed
EPOCHS = (200, 160, 190, 170, 50, 10)
MODES: dict[str, CompileMode | None] = {
    "eager": None,
    "captured": "reduce-overhead",
    "compiled": "default",
}
PACKAGES = {  # of each of PEERS, by the first word of its name
    "PyHessian": "pyhessian",
    "curvlinops": "curvlinops",
    "hessian-eigenthings": "hessian_eigenthings",
}


@dataclass
class Session:
    """What is asked for, and the clock."""

    out: Path
    scratch: Path  # what does not come back: images, unfinished runs
    images: Path | None
    device: str
    minutes: float
    tiny: bool
    parts: tuple[str, ...]
    started: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds until the time is up."""
        return self.started + 60 * self.minutes - time.monotonic()

    def share(self, part: str) -> float:
        """Seconds that a part may take, of what is left: the rest of the parts share alike."""
        rest = self.parts[self.parts.index(part) :]
        return self.left * SHARES[part] / sum(SHARES[p] for p in rest)

    def data(self) -> list[str]:
        """Options that name the data."""
        if self.images is None:
            return ["--data", "digits", "--imbalance", "20"]
        return ["--data", f"folder:{self.images}", "--imbalance", "100"]

    def environment(self) -> dict[str, str]:
        """Variables of a child process."""
        known = {"TAILSCAPE_CIFAR10_IMAGES": str(self.images)} if self.images else {}
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        return os.environ | known | {"PYTHONPATH": path, "TAILSCAPE_GPU": self.device}

    def say(self, text: str) -> None:
        """Print, and append to the log."""
        line = f"[{time.monotonic() - self.started:6.1f} s] {text}"
        print(line, flush=True)
        with (self.out / "log.txt").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def start(self, arguments: list[str], log: str) -> subprocess.Popen[bytes]:
        """Start a module of this checkout, its output in a file."""
        with (self.out / log).open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=ROOT,
                env=self.environment(),
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def run(self, arguments: list[str], log: str, seconds: float) -> None:
        """Run a module for some seconds at most, its output in a file."""
        process = self.start(arguments, log)
        try:
            said = f"exit {process.wait(max(seconds, 1))}"
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            said = f"stopped after {seconds:.0f} s"
        self.say(f"{log}: {said}")


def run_tests(session: Session, seconds: float) -> None:
    """Run the tests marked gpu, several at once where pytest-xdist is."""
    options = ["-m", "gpu", "-o", "addopts=-v --strict-markers", "-p", "no:cacheprovider"]
    options += ["-W", "ignore::pytest.PytestWarning"]  # of plugins that happen to be installed
    if find_spec("xdist") and not session.tiny:
        options += ["-n", "8", "--dist", "worksteal"]
    only = ["tests/test_cuda.py"]
    only += ["-k", "names_it or parallel"] if session.tiny else []
    session.run(["pytest", *options, "-rfEs", "--durations=15", *only], "tests.txt", seconds)


def configuration(session: Session, method: str, precision: str) -> TrainConfig:
    """Settings of the training whose speed is measured."""
    digits = session.images is None
    return TrainConfig(
        method=method,
        data="digits" if digits else f"folder:{session.images}",
        imbalance=20 if digits else 100,
        recipe="auto" if digits else "a",
        precision=precision,
        device=session.device,
    )


def seconds_of_training(
    session: Session, method: str, precision: str, mode: CompileMode | None, least: float
) -> float:
    """Estimate the seconds of 200 epochs, from steps taken for at least some seconds."""
    plan, data, device = prepare(configuration(session, method, precision))
    trainer = Trainer(plan, data, device, mode)
    trainer.set_training()
    size, samples = plan.recipe.batch_size, len(data.train.labels)
    order = torch.arange(samples)

    def steps(most: int | None = None) -> int:
        batches = trainer._train.batches(order[: most and most * size], size, trainer.augmentation)
        done = 0
        for inputs, labels in batches:
            if len(labels) == size:
                trainer.step(inputs, labels, 0)
                done += 1
        if device.type == "cuda":
            torch.cuda.synchronize()
        return done

    steps(3)
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < least:
        done += steps(4 if session.tiny else None)
    pace = (time.perf_counter() - started) / done
    return 200 * pace * samples / size


def measure_speed(session: Session, seconds: float) -> tuple[str, str]:
    """Print the seconds of 200 epochs; return the quickest mode and precision of ``ce+sam``."""
    deadline = time.monotonic() + seconds
    least = 0.2 if session.tiny else 2.0
    lines = ["| method | precision | mode | seconds of 200 epochs |", "|---|---|---|---|"]
    found: dict[tuple[str, str], float] = {}
    precisions = ["float32", "bfloat16"] if session.device == "cpu" else ["bfloat16", "tf32"]
    modes = {"eager": None} if session.tiny else MODES
    for mode, compile_mode in modes.items():
        for precision in precisions:
            for method in ("ce", "ce+sam"):
                if time.monotonic() > deadline:
                    lines.append(f"| {method} | {precision} | {mode} | not run: no time left |")
                    continue
                try:
                    taken = seconds_of_training(session, method, precision, compile_mode, least)
                    lines.append(f"| {method} | {precision} | {mode} | {taken:.1f} |")
                    if method == "ce+sam":
                        found[mode, precision] = taken
                except RuntimeError as error:
                    reason = str(error).strip().splitlines()[0][:200]
                    lines.append(f"| {method} | {precision} | {mode} | failed: {reason} |")
                session.say(lines[-1])
                atomic_write(session.out / "speed.md", "\n".join(lines) + "\n")
    return min(found, key=lambda key: found[key]) if found else ("eager", "float32")


def try_at_once(session: Session, mode: str, precision: str, seconds: float) -> int:
    """Measure how many trainings at once finish most; 1, 2, 4 or 8."""
    throughput, lines = dict[int, float](), list[str]()
    deadline = time.monotonic() + seconds
    for count in (1,) if session.tiny else (1, 2, 4, 8):
        if time.monotonic() > deadline:
            lines.append(f"{count} at once: not run, no time left")
            continue
        worker = ["tests.benchmarks.gpu", "--worker", f"{mode},{precision}"]
        shared = ["--out", str(session.out), "--device", session.device]
        images = ["--images", str(session.images)] if session.images else []
        logs = [f"worker-{count}-{i}.txt" for i in range(count)]
        processes = [session.start([*worker, *shared, *images], log) for log in logs]
        codes = [process.wait() for process in processes]
        taken = [(session.out / log).read_text(encoding="utf-8").split() for log in logs]
        for log in logs:
            (session.out / log).unlink()
        if any(codes):
            lines.append(f"{count} at once: failed, {' '.join(taken[0][-20:])}")
        else:
            throughput[count] = sum(3600 / float(words[-1]) for words in taken)
            lines.append(f"{count} at once: {throughput[count]:.1f} trainings an hour")
        session.say(lines[-1])
        atomic_write(session.out / "at-once.txt", "\n".join(lines) + "\n")
    return max(throughput, key=lambda n: throughput[n]) if throughput else 1


def measure_curvature(session: Session, seconds: float) -> None:
    """Run the curvature benchmark, beside the tools that can be imported."""
    peers = [name for name in PEERS if find_spec(PACKAGES[name.split()[0]])]
    size = ["--models", "resnet32", "--epochs", "4"]
    if session.tiny:
        size = ["--models", "resnet8", "--classes", "9", "--epochs", "1", "--rounds", "1"]
        size += ["--samples", "8"]
        peers = []
    arguments = ["tests.benchmarks.curvature", *size, "--peers", *peers]
    session.run(arguments, "curvature.txt", seconds)


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
    waiting.sort(key=lambda job: job.turn)
    runs, active = session.scratch / "runs", list[tuple[Job, subprocess.Popen[bytes]]]()
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


def unpacked(images: Path | None, scratch: Path) -> Path | None:
    """Return the folder of images, unpacking an archive."""
    if images is None or images.is_dir():
        return images
    target = scratch / "images"
    with tarfile.open(images) as archive:
        archive.extractall(target, filter="data")
    return target


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"))
    parser.add_argument("--images", type=Path, help="train/<class>/*.jpg …, a folder or an archive")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--tiny", action="store_true", help="a rehearsal")
    parser.add_argument("--parts", default=",".join(SHARES), help="some of them, comma-separated")
    parser.add_argument("--mode", default="eager,bfloat16", help="of rows, without speed")
    parser.add_argument("--at-once", type=int, default=1, help="rows, without at-once")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="tailscape-gpu-"))
    images = unpacked(options.images and options.images.resolve(), scratch)
    parts = tuple(part for part in SHARES if part in options.parts.split(","))
    session = Session(
        out, scratch, images, options.device, options.minutes, options.tiny, parts=parts
    )
    if options.worker:
        mode, precision = options.worker.split(",")
        print(seconds_of_training(session, "ce+sam", precision, MODES[mode], 5.0))
        return
    device = choose_device(options.device)
    session.say(f"{machine_name(device)}, torch {torch.__version__}, {options.minutes:g} minutes")
    mode, precision = options.mode.split(",")
    at_once = options.at_once
    if "tests" in parts:
        run_tests(session, session.share("tests"))
    if "speed" in parts:
        mode, precision = measure_speed(session, session.share("speed"))
    if "at-once" in parts:
        at_once = try_at_once(session, mode, precision, session.share("at-once"))
    if "curvature" in parts:
        measure_curvature(session, session.share("curvature"))
    if "rows" in parts:
        session.say(f"rows: {mode}, {precision}, {at_once} at once, {session.left:.0f} s left")
        train_rows(session, mode, precision, at_once)
    session.say("done")


if __name__ == "__main__":
    main()
