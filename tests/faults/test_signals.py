"""SIGTERM keeps the step reached, Ctrl-C the epoch; both go on to the same weights."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import main
from landscape.errors import InputError
from tests.faults.scenes import DIAGNOSE, TRAIN, content, equal, leftovers
from tests.faults.shim import Shim, installed
from trainers.config import TrainConfig
from trainers.runs.checkpoint import load_checkpoint
from trainers.trainer import Trainer
from trainers.training import train


@pytest.fixture
def steps(monkeypatch):
    """The steps taken; a number in ``at`` is that of the one after which SIGTERM comes."""

    class Steps(list):
        at = ()

    taken, original = Steps(), Trainer.step

    def step(trainer, *arguments):
        found = original(trainer, *arguments)
        taken.append(trainer.steps)
        if trainer.steps in taken.at:
            os.kill(os.getpid(), signal.SIGTERM)
        return found

    monkeypatch.setattr(Trainer, "step", step)
    return taken


def command(method, out="run"):
    words = f"train --method {method} --epochs 2 --batch-size 64 --imbalance 60 --device cpu"
    return [*shlex.split(words), "--out", str(out)]


@pytest.mark.parametrize(
    ("method", "at"),  # six steps an epoch
    [
        ("ce-mixup", (4, 11)),
        *(
            pytest.param(method, at, marks=pytest.mark.slow)
            for method in ("ce-mixup", "ce+sam", "bbn", "ldam-drw+gsa", "ce+gkp", "gcl")
            for at in ((1,), (4, 9), (6, 12))
        ),
    ],
)
def test_sigterm_keeps_the_step(method, at, steps, tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    monkeypatch.chdir(tmp_path / "whole")
    assert main(command(method)) == 0
    total = list(steps)
    (tmp_path / "cut").mkdir()
    monkeypatch.chdir(tmp_path / "cut")
    del steps[:]
    steps.at = at
    codes = [main(command(method))]
    while codes[-1] == 143:
        codes.append(main(command(method)))
    expected = len([n for n in at if n < total[-1]])  # after the last step all is done
    assert codes == [143] * expected + [0]
    assert steps == total, "steps were taken again"
    assert equal(content(tmp_path / "cut"), content(tmp_path / "whole"))


def test_a_second_sigterm_is_obeyed_at_once(tmp_path, monkeypatch, steps):
    monkeypatch.chdir(tmp_path)
    original = Trainer.objective

    def objective(trainer, *arguments, **options):
        if trainer.steps == 2:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        return original(trainer, *arguments, **options)

    monkeypatch.setattr(Trainer, "objective", objective)
    assert main(command("ce")) == 143
    assert steps == [1, 2]
    assert not (tmp_path / "run/checkpoints/last.pt").exists()


def test_a_fork_starts_at_whole_epochs(tmp_path, steps):
    steps.at = (4,)
    assert main(command("ce", tmp_path / "run")) == 143
    last = tmp_path / "run/checkpoints/last.pt"
    assert load_checkpoint(last)["part"]["steps"] == 4
    config = TrainConfig(
        method="ce+sam", epochs=2, batch_size=64, imbalance=60, device="cpu", fork=last
    )
    with pytest.raises(InputError, match="was stopped within epoch 1; let its own run go on"):
        train(config)


@pytest.fixture
def interruptible():
    """Obey SIGINT, which a shell has its background jobs ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("interruptible")
def test_a_diagnosis_keeps_what_is_finished(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(TRAIN.split()) == 0
    with installed(Shim()) as shim:
        assert main(DIAGNOSE.split()) == 0
    whole = content(tmp_path)
    for path in tmp_path.rglob("*.h5"):
        path.unlink()
    half = len(shim.calls) - shim.calls[::-1].index("mkdir")  # in the second result
    with installed(Shim(half, fail=lambda: os.kill(os.getpid(), number))):
        assert main(DIAGNOSE.split()) == 128 + number
    kept = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.h5")}
    assert len(kept) == 1
    assert main(DIAGNOSE.split()) == 0
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert equal(content(tmp_path), whole)
    assert not leftovers(tmp_path)


@pytest.mark.slow
def test_kills():
    """At each call by which a checkpoint comes about; the other commands: tests.faults.kills."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.faults.kills", "--scene", "train"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=900)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[3]) > 50
