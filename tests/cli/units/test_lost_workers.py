"""Work whose worker is lost is done again: processes, Slurm's jobs, Ray's tasks."""

import os
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from cli.main import main
from cli.units import slurm
from cli.units.slurm import SlurmPlace, over_slurm
from cli.units.spread import RayPlace, over_processes, over_ray
from landscape.errors import InputError, WaitingWarning

ENDED = "ended in the middle of its work"


def dies_once(item):
    """Count a try in a file; the first of item 1 is killed."""
    number, folder = item
    with (folder / str(number)).open("a") as file:
        file.write("x")
    if number == 1 and (folder / "1").stat().st_size == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return number


def always_dies(_):
    os.kill(os.getpid(), signal.SIGKILL)


def items(folder):
    return [(n, folder) for n in range(3)]


def tick():
    pass


@pytest.mark.slow
def test_a_killed_process_loses_nothing(tmp_path):
    with pytest.warns(WaitingWarning, match=ENDED):
        found = list(over_processes(dies_once, items(tmp_path), 1, tick, retries=1))
    assert sorted(n for _, n in found) == [0, 1, 2]
    assert {p.name: p.stat().st_size for p in tmp_path.iterdir()} == {"0": 1, "1": 2, "2": 1}


def test_jobs_of_slurm_that_are_lost_run_again(tmp_path):
    pytest.importorskip("submitit", reason="submitit (extra slurm) is not installed")
    place = SlurmPlace(tmp_path / "logs", cluster="local", options={"partition": "gpu"})
    tried = tmp_path / "tried"
    tried.mkdir()
    with pytest.warns(WaitingWarning, match=rf"job \d+ {ENDED}"):
        found = list(over_slurm(dies_once, items(tried), place, tick, retries=1))
    assert sorted(n for _, n in found) == [0, 1, 2]
    assert {p.name: p.stat().st_size for p in tried.iterdir()} == {"0": 1, "1": 2, "2": 1}
    with pytest.raises(InputError, match=r"lost more often than --retries says .*logs"):
        list(over_slurm(always_dies, [0], place, tick))


@pytest.mark.slow
def test_a_diagnosis_by_slurm(run, tmp_path, monkeypatch, capsys):
    pytest.importorskip("submitit", reason="submitit (extra slurm) is not installed")
    monkeypatch.setattr(slurm, "SlurmPlace", partial(SlurmPlace, cluster="local"))
    monkeypatch.chdir(tmp_path)
    words = f"diagnose {run} --analyses accuracy --checkpoints 2,4 --device cpu --engine slurm"
    assert main([*words.split(), "--slurm", "time=10", "--slurm-logs", "logs"]) == 0
    assert capsys.readouterr().out.count("wrote") == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["logs", run.name]


@pytest.mark.slow
def test_tasks_of_ray_that_lose_their_worker_run_again(tmp_path):
    pytest.importorskip("ray")
    found = list(over_ray(dies_once, items(tmp_path), RayPlace(1, 0.0), tick, retries=2))
    assert sorted(n for _, n in found) == [0, 1, 2]
    assert (tmp_path / "1").stat().st_size == 2
    with pytest.raises(InputError, match="lost a worker more often than --retries"):
        list(over_ray(always_dies, [0], RayPlace(), tick))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--retries -1", "--retries is -1"),
        ("--address ray://head:1", "give --engine ray with it"),
        ("--slurm time=1", "give --engine slurm with it"),
        ("--engine slurm --slurm TIME", "write NAME=VALUE"),
        ("--engine slurm --slurm time=1;rm", "write NAME=VALUE"),
        ("--engine slurm --unit-gpus 0.5", "Slurm gives out whole GPUs; Ray shares them"),
        ("--engine slurm --jobs 2", "--jobs is for this machine alone; slurm counts"),
    ],
)
def test_options_that_do_not_fit(options, said, capsys):
    assert main(["diagnose", "run", *options.split()]) == 2
    assert said in capsys.readouterr().err


def test_without_submitit_or_slurm(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match=r"pip install 'tailscape\[slurm\]'"):
        list(over_slurm(dies_once, items(tmp_path), SlurmPlace(tmp_path), tick))
    monkeypatch.undo()
    pytest.importorskip("submitit", reason="submitit (extra slurm) is not installed")
    if shutil.which("sbatch") is None:
        with pytest.raises(InputError, match="Slurm takes no jobs from here"):
            list(over_slurm(dies_once, items(tmp_path), SlurmPlace(Path(tmp_path)), tick))
