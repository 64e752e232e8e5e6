"""Sweeps as a user runs them: planned, stopped, gone on with, in several processes."""

import os
import signal
import time

import pytest

from cli.main import main
from cli.sweeps.file import read_sweep
from cli.sweeps.state import Estimate, RunState, run_state
from cli.units.spread import over_processes
from landscape.errors import InputError
from trainers.runs.folder import RunFolder

TRAIN = "[train]\nepochs = 1\nbatch_size = 256\nimbalance = 60\n"
TABLE = (
    TRAIN + '[grid]\nmethod = ["ce", "la"]\nseed = [0, 1]\n'
    '[diagnose]\nanalyses = ["accuracy"]\n[[figure]]\nkind = "accuracy"\n'
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sweep(place, text, *options):
    (place / "table.toml").write_text(text, encoding="utf-8")
    return main(["sweep", "table.toml", *options])


def test_a_sweep_trains_diagnoses_and_compares_and_does_nothing_twice(place, capsys):
    assert sweep(place, TABLE, "--dry-run") == 0
    planned = capsys.readouterr().out
    assert "4 runs in runs/table, 0 trained" in planned
    assert "nothing was trained" in planned
    assert not (place / "runs").exists()

    assert sweep(place, TABLE) == 0
    said = capsys.readouterr().out
    assert "trained la-seed1 (4 of 4)" in said
    runs = [place / "runs" / "table" / f"{m}-seed{s}" for m in ("ce", "la") for s in (0, 1)]
    files = [next(run.glob("results/accuracy/*.h5")) for run in runs]
    written = [file.stat().st_mtime_ns for file in files]
    assert (place / "runs/table/figures/accuracy.png").is_file()
    table = (place / "runs/table/table.csv").read_text(encoding="utf-8").splitlines()
    assert table[0] == "method,seeds,overall %,head %,mid %,tail %,best on test %,seconds"
    assert [line.split(",")[:2] for line in table[1:]] == [["ce", "2"], ["la", "2"]]
    shares = [100 * RunFolder(run).metrics()[-1]["test_accuracy"] for run in runs[:2]]
    assert table[1].split(",")[2].startswith(f"{sum(shares) / 2:.1f} ± ")

    assert sweep(place, TABLE) == 0
    again = capsys.readouterr().out
    assert "4 runs in runs/table, 4 trained" in again
    assert "trained la" not in again
    assert [file.stat().st_mtime_ns for file in files] == written


def test_what_one_run_cannot_do_stops_no_other(place, capsys):
    text = (
        TRAIN.replace("256", "64") + "[[run]]\nmethod = 'ce'\nlr = 1e30\n[[run]]\nmethod = 'la'\n"
    )
    text += "[diagnose]\nanalyses = ['accuracy']\n"
    assert sweep(place, text) == 2
    said = capsys.readouterr()
    assert "not trained ce (1 of 2)" in said.out
    assert "trained la (2 of 2)" in said.out
    assert "1 failed, and the rest is kept: ce: the training loss is" in said.err
    assert list(place.glob("runs/table/la/results/accuracy/*.h5"))


def test_a_stopped_sweep_goes_on_where_it_was(place, capsys):
    whole = TRAIN.replace("epochs = 1", "epochs = 3") + "[[run]]\nmethod = 'ce'\n"
    assert sweep(place, whole) == 0
    first = (place / "runs/table/ce/checkpoints/epoch_0003.pt").read_bytes()
    (place / "runs").rename(place / "before")

    def stop(*_):
        if len(list(place.glob("runs/table/ce/metrics.jsonl"))):
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cli.sweeps.training.run_state", stop)
        assert sweep(place, whole) == 130
    assert "the same command goes on" in capsys.readouterr().err
    (run,) = read_sweep(place / "table.toml").runs
    assert run_state(run).text == "epoch 1 of 3"
    assert sweep(place, whole) == 0
    from trainers.runs.checkpoint import load_checkpoint

    again = load_checkpoint(place / "runs/table/ce/checkpoints/epoch_0003.pt")["model"]
    (place / "first.pt").write_bytes(first)
    before = load_checkpoint(place / "first.pt")["model"]
    assert all((again[name] == before[name]).all() for name in before)


def test_processes_give_what_one_gives(place):
    table = TABLE.replace("[0, 1]", "[0]").partition("[diagnose]")[0]
    assert sweep(place, table, "--jobs", "2") == 0
    diagnosed = table.replace('"ce", ', "") + '[diagnose]\nanalyses = ["accuracy"]\n'
    assert sweep(place, diagnosed, "--jobs", "2") == 0
    assert list(place.glob("runs/table/la/results/accuracy/*.h5"))
    (place / "runs").rename(place / "parallel")
    assert sweep(place, table) == 0
    for name in ("ce", "la"):
        one, two = (
            RunFolder(place / where / "table" / name).metrics()[-1]
            for where in ("runs", "parallel")
        )
        assert one["train_loss"] == pytest.approx(two["train_loss"], rel=1e-5)


def _die(item):
    if item == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)
    return item


def test_a_killed_process_is_named():
    with pytest.raises(InputError, match=r"killed or out of memory; .*the same command goes on"):
        list(over_processes(_die, [0, 1], 1, lambda: None))


def test_an_estimate_takes_the_pace_of_epochs_trained(place):
    (place / "t.toml").write_text("[grid]\nmethod = ['ce']\nseed = [0, 1, 2]", encoding="utf-8")
    done, begun, other = read_sweep(place / "t.toml").runs
    states = [
        RunState(done, 10, 10, 2.0),
        RunState(begun, 4, 10, 3.0),
        RunState(other, 0, 10, None),
    ]
    estimate = Estimate(states)
    assert estimate.seconds_left(states[0]) == 0
    assert estimate.seconds_left(states[1]) == pytest.approx(6 * 3.0)
    assert estimate.seconds_left(states[2]) == pytest.approx(10 * 3.0)


def test_a_plan_needs_no_files_and_a_training_does(place, capsys):
    text = "[train]\ndata = 'cifar10'\nmodel = 'resnet8'\nepochs = 1\n"
    assert sweep(place, text, "--dry-run") == 0
    assert "of training left" in capsys.readouterr().out
    assert sweep(place, text) == 2
    assert "--download" in capsys.readouterr().err
    assert not (place / "runs").exists()


@pytest.mark.slow
def test_ray_trains_and_diagnoses_what_one_process_does(place):
    pytest.importorskip("ray")
    table = TABLE.partition("[[figure]]")[0].replace("[0, 1]", "[0]")
    assert sweep(place, table, "--engine", "ray") == 0
    assert len(list(place.glob("runs/table/*/results/accuracy/epoch_0001.h5"))) == 2
