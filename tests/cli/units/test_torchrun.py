"""A scope's samples over several processes."""

import json
import shutil
import subprocess
import sys

import pytest

from cli.main import main
from landscape.results.accuracy import Accuracy
from landscape.results.load import read_record
from landscape.results.spectrum import Spectrum


def torchrun(processes, *words):
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *launcher, "-m", "cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


def diagnosed_by(processes, run):
    """Class 9 has 6 training samples: of eight processes two have none."""
    serial = run.with_name("serial")
    shutil.copytree(run, serial)
    options = "--scopes overall,class/9 --device cpu --samples-per-class 8 --spectrum.steps 8"
    done = torchrun(processes, "diagnose", run, *options.split())
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("wrote") == 2  # one process speaks
    assert main(["diagnose", str(serial), *options.split()]) == 0
    found, _ = read_record(run / "results/spectrum/epoch_0004.h5", Spectrum)
    alone, _ = read_record(serial / "results/spectrum/epoch_0004.h5", Spectrum)
    for name in ("loss", "grad_norm", "lambda_max", "lambda_min", "trace", "trace_sem"):
        near = {"rel": 1e-4, "abs": 1e-5 * alone.lambda_max.max()}
        assert getattr(found, name) == pytest.approx(getattr(alone, name), **near)
    assert found.samples.tolist() == alone.samples.tolist()
    accuracies = [
        read_record(folder / "results/accuracy/epoch_0004.h5", Accuracy)[0].confusion.tolist()
        for folder in (run, serial)
    ]
    assert accuracies[0] == accuracies[1]


def test_two_processes_find_what_one_finds(tmp_path):
    """Analyses in both precisions, a step of every rule, and trainings, in one start."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [sys.executable, *launcher, "-m", "tests.torchrun_checks", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "differences.json").read_text())
    assert len(found) > 25
    for name, difference in found.items():
        assert difference < (1e-6 if name.endswith("32") else 1e-12), name


@pytest.mark.distributed
def test_a_diagnosis_by_two(run):
    diagnosed_by(2, run)


@pytest.mark.distributed
def test_a_training_by_two_is_stopped_and_goes_on(tmp_path):
    """One process writes; the second start goes on from its last epoch."""
    words = "train --method ce+sam --batch-size 64 --imbalance 60 --device cpu --epochs"
    run = tmp_path / "run"
    done = torchrun(2, *words.split(), "2", "--out", run, "--eval-every", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("wrote") == 1
    again = torchrun(2, *words.split(), "2", "--out", run, "--eval-every", "1")
    assert "resumed after epoch 2 of 2" in again.stdout
    assert main(["show", str(run), "--verify"]) == 0
    stored = json.loads((run / "config.json").read_text())
    assert stored["computed"]["processes"] == 2


@pytest.mark.distributed
def test_more_processes_than_samples(run):
    diagnosed_by(8, run)


@pytest.mark.distributed
def test_an_error_ends_all_processes(run):
    done = torchrun(2, "diagnose", run, "--scopes", "class/77", "--device", "cpu")
    assert done.returncode != 0
    assert "unknown scope 'class/77'" in done.stderr
    spread = torchrun(2, "diagnose", run, "--engine", "ray")
    assert "run it without torchrun" in spread.stderr
