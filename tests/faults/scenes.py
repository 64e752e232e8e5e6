"""Commands that write files, on tiny runs: what each needs, and what it has to leave."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from matplotlib.figure import Figure

from cli.commands.verify import _files, _has_checksum
from cli.inspector import jobs
from cli.main import main
from figures.output import rendered
from landscape.errors import InputError
from landscape.results.atomic import TEMPORARY
from landscape.results.load import load
from trainers import epoch, training
from trainers.runs.checkpoint import load_checkpoint
from trainers.runs.folder import RunFolder
from trainers.trainer import Trainer

TRAIN = "train --method ce+sam --epochs 2 --batch-size 256 --imbalance 60 --device cpu --out run"
DIAGNOSE = "diagnose run --analyses accuracy,gradients --samples-per-class 2 --device cpu"
SWEEP = """
[train]
epochs = 1
batch_size = 256
imbalance = 60
[grid]
method = ["ce"]
[diagnose]
analyses = ["accuracy"]
[[figure]]
kind = "confusion"
"""


def run_command(words: str) -> int:
    return main(words.split())


def run_and_draw_once(words: str) -> int:
    """Run a command that draws; a picture takes seconds, so that its bytes are kept."""
    with (
        patch("figures.output.fit_texts", lambda figure: figure),
        patch("figures.pages.write.rendered", _rendered_once),
    ):
        return run_command(words)


_pictures: dict[str, bytes] = {}


def _rendered_once(figure: Figure, suffix: str) -> bytes:
    if suffix not in _pictures:
        _pictures[suffix] = rendered(figure, suffix)
    return _pictures[suffix]


def run_job(_: str = "") -> int:
    """Queue a job of the inspector, whose process is this one."""

    class Process:
        def __init__(self, job: jobs.AnalysisJob) -> None:
            job.log.write_text("")
            self._code = main(job.command)

        def wait(self) -> int:
            return self._code

    queue, spawn = jobs.JobQueue(), jobs._spawn
    jobs._spawn = Process  # type: ignore[assignment]
    try:
        try:
            job = queue.start("run", Path("run"), "accuracy", ["epoch_0002"])
        except InputError:
            return 2
        while job.is_open:
            time.sleep(0.002)
    finally:
        jobs._spawn = spawn
        queue.close()
    return 0 if job.state == "done" else 2


@dataclass(frozen=True)
class Scene:
    """A command, and those that have been run before it."""

    name: str
    words: str
    before: Sequence[str] = ()
    run: Callable[[str], int] = run_command


SCENES = (
    Scene("train", TRAIN),
    Scene("diagnose", DIAGNOSE, (TRAIN,)),
    Scene("job", "", (TRAIN,), run_job),
    Scene("figure", "figure confusion run", (TRAIN, DIAGNOSE), run_and_draw_once),
    Scene("sweep", "sweep table.toml", run=run_and_draw_once),
)


def prepared(scene: Scene, folder: Path) -> Path:
    """Make what the command needs; the present folder has to be ``folder``."""
    (folder / "table.toml").write_text(SWEEP, encoding="utf-8")
    for words in scene.before:
        assert run_command(words) == 0
    return folder


def copied(folder: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to)
    return to


def content(folder: Path) -> dict[str, Any]:
    """The numbers of every file, without times."""
    return {str(p.relative_to(folder)): _content(p) for p in _written(folder)}


def _content(path: Path) -> Any:
    if path.suffix == ".h5":
        record = load(path)
        return {f.name: getattr(record, f.name) for f in fields(record)}
    if path.suffix == ".pt":
        return load_checkpoint(path)
    if path.name == "metrics.jsonl":
        return RunFolder(path.parent).metrics()
    return path.suffix


def equal(one: Any, other: Any) -> bool:
    """Compare bit for bit, but times; NaN equals NaN."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, dict):
        timed = {k for k in one if "seconds" in str(k)}
        return one.keys() == other.keys() and all(
            equal(one[k], other[k]) for k in one if k not in timed
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def check_whole(folder: Path) -> dict[Path, int]:
    """Check that every file there is whole; return the times at which results were written."""
    for config in folder.rglob("config.json"):
        for file in _files(config.parent):
            if file.suffix in {".pt", ".h5"}:
                assert _has_checksum(file)
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*.h5") if not _unfinished(p)}


def goes_on(scene: Scene, place: Path, whole: dict[str, Any]) -> None:
    """Check what a fault has left, and that the command ends as one that none has touched."""
    finished = check_whole(place)
    last = next(place.rglob("last.pt"), None)
    reached = load_checkpoint(last)["epoch"] if last else 0
    trained, train_epoch = [], epoch.train_epoch

    def counted(trainer: Trainer) -> dict[str, Any]:
        entry = train_epoch(trainer)
        trained.append(entry["epoch"])
        return entry

    with patch.object(training, "train_epoch", counted):
        assert scene.run(scene.words) == 0
    assert trained == list(range(reached + 1, reached + 1 + len(trained))), "trained again"
    assert {p: p.stat().st_mtime_ns for p in finished} == finished, "computed again"
    assert equal(content(place), whole)
    assert not leftovers(place)


def leftovers(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if _unfinished(p)]


def _unfinished(path: Path) -> bool:
    return path.name.startswith(TEMPORARY)


def _written(folder: Path) -> list[Path]:
    locks = {"run.lock", "run.owner"}
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    return [p for p in found if not _unfinished(p) and p.name not in locks]
