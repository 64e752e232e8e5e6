"""The script for whoever has a GPU for some minutes, rehearsed on the CPU."""

import os
import subprocess
import sys
from pathlib import Path

from landscape.results.environment import own_version
from trainers.runs.checkpoint import load_checkpoint
from trainers.runs.folder import RunFolder

ROOT = Path(__file__).parents[1]


def test_rehearsal(tmp_path):
    command = [sys.executable, "-m", "tests.benchmarks.gpu", "--tiny", "--device", "cpu"]
    done = subprocess.run(
        [*command, "--minutes", "12", "--out", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stdout
    assert "1 passed, 1 skipped" in (tmp_path / "tests.txt").read_text(encoding="utf-8")
    assert "bfloat16 | eager" in (tmp_path / "speed.md").read_text(encoding="utf-8")
    assert "trainings an hour" in (tmp_path / "at-once.txt").read_text(encoding="utf-8")
    assert "tailscape, both ends" in (tmp_path / "curvature.txt").read_text(encoding="utf-8")
    table = (tmp_path / "table.md").read_text(encoding="utf-8").splitlines()
    assert len(table) == 3
    folder = RunFolder(tmp_path / "ce-drw+sam-seed0")
    assert folder.config()["versions"]["tailscape"] == own_version()
    weights = load_checkpoint(folder.checkpoint("epoch_0002"))["model"]
    assert weights["head.weight"].element_size() == 2
    assert folder.result("spectrum", "epoch_0002").is_file()
    assert folder.result("accuracy", "epoch_0002").is_file()


def test_a_checkout_that_is_not_installed_knows_its_version(monkeypatch):
    from importlib.metadata import PackageNotFoundError

    def missing(name):
        raise PackageNotFoundError(name)

    installed = own_version()
    monkeypatch.setattr("landscape.results.environment.version", missing)
    assert own_version() == installed
