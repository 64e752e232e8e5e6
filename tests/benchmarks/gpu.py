"""What a GPU is asked when there is one for some minutes: make gpu GPU="--images … --out …".

In order, each within its share of the time: the tests marked ``gpu``; the seconds that 200 epochs
take, eager, compiled and replayed as CUDA graphs; the curvature benchmark, and that of large
networks; then rows of the reproduction table by the product's own commands, several at once where
that is faster, until the time is up. Everything is written to ``--out`` as soon as it is known.
Nothing is installed or downloaded: a checkout on the path and importable packages are enough.
``--tiny`` is the rehearsal, on digits.
"""

import argparse
import tarfile
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import torch

from cli.commands.crosscheck_peers import PEERS
from landscape.device import choose_device, machine_name
from landscape.results.atomic import atomic_write
from tests.benchmarks.gpu_rows import train_rows
from tests.benchmarks.gpu_session import SHARES, Session
from tests.benchmarks.gpu_speed import MODES, measure_speed, measured_pace

PACKAGES = {  # of each of PEERS, by the first word of its name
    "PyHessian": "pyhessian",
    "curvlinops": "curvlinops",
    "hessian-eigenthings": "hessian_eigenthings",
}


def run_tests(session: Session, seconds: float) -> None:
    """Run the tests marked gpu, several at once where pytest-xdist is."""
    options = ["-m", "gpu", "-o", "addopts=-v --strict-markers", "-p", "no:cacheprovider"]
    options += ["-W", "ignore::pytest.PytestWarning"]  # of plugins that happen to be installed
    if find_spec("xdist") and not session.tiny:
        options += ["-n", "8", "--dist", "worksteal"]
    only = ["tests/test_cuda.py"]
    only += ["-k", "names_it or parallel"] if session.tiny else []
    session.run(["pytest", *options, "-rfEs", "--durations=15", *only], "tests.txt", seconds)


def try_at_once(session: Session, mode: str, precision: str, seconds: float) -> int:
    """Measure how many trainings at once finish most; 1, 2 or 4.

    A row that is finished counts more than several that are not: only a fifth more is a gain.
    """
    best, most, deadline = 1, 0.0, time.monotonic() + seconds
    lines = list[str]()
    for count in (1,) if session.tiny else (1, 2, 4):
        if time.monotonic() > deadline:
            lines.append(f"{count} at once: not run, no time left")
            continue
        logs = [f"worker-{count}-{i}.txt" for i in range(count)]
        worker = ["tests.benchmarks.gpu", "--worker", f"{mode},{precision}"]
        shared = ["--out", str(session.out), "--device", session.device]
        images = ["--images", str(session.images)] if session.images else []
        processes = [session.start([*worker, *shared, *images], log) for log in logs]
        codes = [process.wait() for process in processes]
        taken = [(session.out / log).read_text(encoding="utf-8").split() for log in logs]
        for log in logs:
            (session.out / log).unlink()
        if any(codes):
            lines.append(f"{count} at once: failed, {' '.join(taken[0][-20:])}")
        else:
            an_hour = sum(3600 / float(words[-1]) for words in taken)
            best, most = (count, an_hour) if an_hour > 1.2 * most else (best, most)
            lines.append(f"{count} at once: {an_hour:.1f} trainings an hour")
        session.say(lines[-1])
        atomic_write(session.out / "at-once.txt", "\n".join(lines) + "\n")
    return best


def measure_curvature(session: Session, seconds: float) -> None:
    """Run the curvature benchmark, beside the tools that can be imported."""
    peers = [name for name in PEERS if find_spec(PACKAGES[name.split()[0]])]
    size = ["--models", "resnet32", "--epochs", "2", "--classes", "9", "--rounds", "1"]
    if session.tiny:
        size = ["--models", "resnet8", "--classes", "9", "--epochs", "1", "--rounds", "1"]
        size += ["--samples", "8"]
        peers = []
    arguments = ["tests.benchmarks.curvature", *size, "--peers", *peers]
    session.run(arguments, "curvature.txt", seconds)


def measure_large(session: Session, seconds: float) -> None:
    """Multiply with the Hessians of large networks, and find both ends."""
    size = ["--models", "shufflenet_v2_x0_5", "--images", "2", "--side", "32"]
    size += ["--steps", "3", "--times", "1"]
    arguments = ["tests.benchmarks.large", *(size if session.tiny else [])]
    session.run(arguments, "large.txt", seconds)


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
    parser.add_argument("--runs", type=Path, help="folder of the runs, to go on with another time")
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
        out,
        scratch,
        (options.runs or scratch / "runs").resolve(),
        images,
        options.device,
        options.minutes,
        options.tiny,
        parts=parts,
    )
    if options.worker:
        mode, precision = options.worker.split(",")
        print(measured_pace(session, "ce+sam", precision, MODES[mode], 5.0).whole)
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
    if "large" in parts:
        measure_large(session, session.share("large"))
    if "rows" in parts:
        session.say(f"rows: {mode}, {precision}, {at_once} at once, {session.left:.0f} s left")
        train_rows(session, mode, precision, at_once)
    session.say("done")


if __name__ == "__main__":
    main()
