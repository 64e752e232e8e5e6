"""The script for whoever has a GPU for some minutes, rehearsed on the CPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from landscape.results.environment import own_version
from tests.benchmarks import gpu, gpu_rows
from tests.benchmarks.gpu_session import Session
from trainers.config import TrainConfig
from trainers.runs.checkpoint import load_checkpoint
from trainers.runs.folder import RunFolder
from trainers.training import train

ROOT = Path(__file__).parents[1]


def rehearse(out, *words):
    command = [sys.executable, "-m", "tests.benchmarks.gpu", "--tiny", "--device", "cpu"]
    done = subprocess.run(
        [*command, "--minutes", "12", "--out", str(out), *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stdout


def test_rows_are_trained_and_diagnosed(tmp_path, monkeypatch, capsys):
    """By the script's function; the slow test below starts it."""
    words = ["--tiny", "--device", "cpu", "--minutes", "12", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["gpu", *words, "--parts", "rows"])
    gpu.main()
    assert "failed" not in capsys.readouterr().out
    table = (tmp_path / "table.md").read_text(encoding="utf-8").splitlines()
    assert len(table) == 3
    folder = RunFolder(tmp_path / "ce-drw+sam-seed0")
    assert folder.config()["versions"]["tailscape"] == own_version()
    weights = load_checkpoint(folder.checkpoint("epoch_0002"))["model"]
    assert weights["head.weight"].element_size() == 2
    assert folder.result("spectrum", "epoch_0002").is_file()
    assert folder.result("accuracy", "epoch_0002").is_file()


@pytest.mark.slow
def test_all_parts(tmp_path):
    rehearse(tmp_path)
    assert "1 passed, 1 skipped" in (tmp_path / "tests.txt").read_text(encoding="utf-8")
    assert "bfloat16 | eager" in (tmp_path / "speed.md").read_text(encoding="utf-8")
    assert "trainings an hour" in (tmp_path / "at-once.txt").read_text(encoding="utf-8")
    assert "tailscape, both ends" in (tmp_path / "curvature.txt").read_text(encoding="utf-8")
    assert "shufflenet" in (tmp_path / "large.txt").read_text(encoding="utf-8")
    assert len((tmp_path / "table.md").read_text(encoding="utf-8").splitlines()) == 3


@pytest.mark.slow
def test_a_run_that_is_brought_along_is_diagnosed_and_not_trained_again(tmp_path, monkeypatch):
    runs, out = tmp_path / "runs", tmp_path / "out"
    config = TrainConfig(model="resnet8", epochs=1, imbalance=20, out=runs / "ce-drw+sam-seed0")
    trained = train(config).folder.last.read_bytes()
    out.mkdir()
    session = Session(out, tmp_path, runs, None, "cpu", 5, True, parts=("rows",))
    monkeypatch.setattr(gpu_rows, "EPOCHS", (1,))
    gpu_rows.train_rows(session, "eager", "float32", 1)
    assert (runs / "ce-drw+sam-seed0/checkpoints/last.pt").read_bytes() == trained
    assert RunFolder(out / "ce-drw+sam-seed0").result("spectrum", "epoch_0001").is_file()
    assert "ce-drw+sam-seed0-epoch1.txt: done" in (out / "log.txt").read_text(encoding="utf-8")


def test_a_checkout_that_is_not_installed_knows_its_version(monkeypatch):
    from importlib.metadata import PackageNotFoundError

    def missing(name):
        raise PackageNotFoundError(name)

    installed = own_version()
    monkeypatch.setattr("landscape.results.environment.version", missing)
    assert own_version() == installed
