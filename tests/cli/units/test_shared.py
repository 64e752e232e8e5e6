"""Several people at one sweep or diagnosis: nothing is computed twice, nobody turned away."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import main
from cli.units import engine
from cli.units.kept import is_done
from cli.units.unit import Unit
from landscape.config import DiagnoseConfig
from landscape.results.claim import Taken, claimed
from tests.faults.scenes import TRAIN

DIAGNOSE = ["diagnose", "run", "--analyses", "accuracy", "--device", "cpu"]
COUNTING = """
import os, sys
from cli.main import main
from cli.units import run_unit
from trainers import training

def counted(owner, name, said):
    original = getattr(owner, name)
    def call(*arguments, **options):
        with open("log", "a") as file:
            file.write(said(arguments[0]) + "\\n")
        return original(*arguments, **options)
    setattr(owner, name, call)

counted(training, "train_epoch", lambda t: f"{t.plan.method} {t.plan.seed} epoch {t.epoch}")
counted(run_unit, "_computed", lambda u: f"{u.run} {u.stored_as}")
sys.exit(main(sys.argv[1:]))
"""
SWEEP = """
[train]
epochs = 2
batch_size = 256
imbalance = 60
[grid]
method = ["ce", "la"]
seed = [0, 1]
[diagnose]
analyses = ["accuracy", "gradients"]
samples_per_class = 2
"""


@pytest.fixture
def trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(engine, "_PAUSE", 0.01)
    assert main(TRAIN.split()) == 0
    return tmp_path


def test_what_others_hold_is_done_last():
    free, seen = [], []

    def run(items):
        for item in items:
            seen.append(item)
            held = item == "b" and len(free) < 2
            free.append(item)
            yield item, Taken("'b' is being written by process 1 on here; wait") if held else 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_PAUSE", 0)
        with pytest.warns(engine.WaitingWarning, match="process 1 on here; it is waited for"):
            assert list(engine.until_free(run, ["a", "b", "c"])) == [("a", 0), ("c", 0), ("b", 0)]
    assert seen == ["a", "b", "c", "b"]


@pytest.mark.usefixtures("trained")
@pytest.mark.filterwarnings("always::landscape.errors.WaitingWarning")
def test_a_unit_that_another_process_ends_is_kept(monkeypatch, capsys):
    assert main(DIAGNOSE) == 0
    (result,) = Path().rglob("*.h5")
    content = result.read_bytes()
    result.unlink()
    claim = claimed(result.with_name(f".{result.stem}.lock"), "it")
    claim.__enter__()

    def ended(_):
        result.write_bytes(content)
        claim.__exit__(None, None, None)

    monkeypatch.setattr(engine.time, "sleep", ended)
    assert main(DIAGNOSE) == 0
    said = capsys.readouterr().err
    assert f"being written by process {os.getpid()} on" in said
    assert "it is waited for" in said
    assert result.read_bytes() == content
    assert not list(Path().rglob(".*"))


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("hours", [-5, 0, 5])
def test_a_clock_that_jumps_computes_nothing_twice_and_keeps_nothing_stale(hours):
    """Results from before or after their checkpoint, by the clock; then other weights."""
    assert main(DIAGNOSE) == 0
    (result,) = Path().rglob("*.h5")
    checkpoint = Path("run/checkpoints/epoch_0002.pt")
    unit = Unit(Path("run"), "epoch_0002", "accuracy", DiagnoseConfig(analyses=("accuracy",)))
    at = checkpoint.stat().st_mtime + 3600 * hours
    os.utime(result, (at, at))
    assert is_done(unit)
    checkpoint.write_bytes(Path("run/checkpoints/epoch_0000.pt").read_bytes())
    assert not is_done(unit)


@pytest.mark.slow
def test_two_people_at_one_sweep(tmp_path):
    (tmp_path / "table.toml").write_text(SWEEP, encoding="utf-8")
    command = [sys.executable, "-c", COUNTING, "sweep", "table.toml"]
    both = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=400) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    log = (tmp_path / "log").read_text().splitlines()
    assert sorted(log) == sorted(set(log)), "done twice"
    assert len(log) == 4 * 2 + 4 * 2
