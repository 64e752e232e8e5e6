"""A stopped run goes on bit for bit; runs are whole, single-writer, and never lost."""

import json

import pytest
import torch

from landscape.errors import InputError
from trainers.config import TrainConfig
from trainers.runs.checkpoint import load_checkpoint, save_checkpoint
from trainers.runs.folder import RunFolder
from trainers.training import train


class Stop(Exception):
    """Raised in place of a kill."""


def config(out, **given):
    options = {"method": "ce-drw+sam", "epochs": 5, "device": "cpu", "rho": 0.1, "out": out}
    return TrainConfig(**(options | given))


def stop_after(epoch):
    def report(entry):
        if entry["epoch"] == epoch:
            raise Stop

    return report


def comparable(metrics):
    return [{k: v for k, v in entry.items() if "seconds" not in k} for entry in metrics]


@pytest.mark.parametrize("method", ["ce-drw+sam", "ldam-drw", "vs"])
def test_resume_is_bitwise(tmp_path, method):
    whole = train(config(tmp_path / "whole", method=method, rho=None)).folder
    for epoch in (1, 4):
        with pytest.raises(Stop):
            train(config(tmp_path / "cut", method=method, rho=None), stop_after(epoch))
    outcome = train(config(tmp_path / "cut", method=method, rho=None))
    assert outcome.resumed_from == 4
    a, b = load_checkpoint(whole.last), load_checkpoint(outcome.folder.last)
    assert all(torch.equal(a["model"][k], b["model"][k]) for k in a["model"])
    momenta = [s["optimizer"]["state"] for s in (a, b)]
    assert all(
        torch.equal(momenta[0][i]["momentum_buffer"], momenta[1][i]["momentum_buffer"])
        for i in momenta[0]
    )
    assert comparable(whole.metrics()) == comparable(outcome.folder.metrics())
    assert whole.checkpoint_names() == outcome.folder.checkpoint_names()


@pytest.mark.parametrize("method", ["ce", "ce-drw", "ce-drw+sam", "ldam-drw+sam", "crt"])
def test_a_run_of_before_later_settings_goes_on(tmp_path, method):
    """Neither its configuration nor its state holds what came after it."""
    given = {"method": method, "rho": None, "recipe": "a"}
    whole = train(config(tmp_path / "whole", **given)).folder
    with pytest.raises(Stop):
        train(config(tmp_path / "cut", **given), stop_after(4))
    folder = RunFolder(tmp_path / "cut")
    stored, state = folder.config(), load_checkpoint(folder.last)
    for name in ("subset_sha256", "parameters", "departures"):
        del stored[name]
    for name in ("subset_seed", "normalisation"):
        del stored["plan"][name]
    stored["plan"]["settings"]["weighting"].pop("mean", None)
    folder.config_path.write_text(json.dumps(stored))
    del state["cycles"]
    save_checkpoint(state, folder.last)
    outcome = train(config(tmp_path / "cut", **given))
    assert outcome.resumed_from == 4
    a, b = load_checkpoint(whole.last), load_checkpoint(folder.last)
    assert all(torch.equal(a["model"][k], b["model"][k]) for k in a["model"])
    assert whole.plan() == folder.plan()


def test_finished_run_is_left_alone(tmp_path):
    folder = train(config(tmp_path / "run", epochs=2)).folder
    before = folder.last.stat().st_mtime_ns
    assert train(config(tmp_path / "run", epochs=2)).resumed_from == 2
    assert folder.last.stat().st_mtime_ns == before


def test_seeds_differ_and_repeat(tmp_path):
    states = [
        load_checkpoint(train(config(tmp_path / n, epochs=1, seed=s)).folder.last)["model"]
        for n, s in (("a", 0), ("b", 0), ("c", 1))
    ]
    weights = [state["conv1.weight"] for state in states]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_another_configuration_is_refused_and_nothing_lost(tmp_path):
    folder = train(config(tmp_path / "run", epochs=1)).folder
    before = folder.last.read_bytes()
    with pytest.raises(InputError, match=r"holds another run: recipe .*--overwrite"):
        train(config(tmp_path / "run", epochs=1, lr=0.05))
    assert folder.last.read_bytes() == before
    train(config(tmp_path / "run", epochs=1, lr=0.05, overwrite=True))
    assert folder.plan().recipe.lr == 0.05


def test_a_folder_of_something_else_is_never_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("words")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="no run folder"):
            train(config(tmp_path, epochs=1, overwrite=overwrite))
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_one_writer(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.writer(), pytest.raises(InputError, match=r"being written by process \d+ on"):
        train(config(folder.path, epochs=1))
    assert train(config(folder.path, epochs=1)).folder.last.is_file()


def test_a_stale_lock_is_taken_over(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    (folder.path / "run.lock").touch()
    (folder.path / "run.owner").write_text("process 1 on elsewhere")
    assert train(config(folder.path, epochs=1)).epochs == 1


def test_leftovers_of_a_killed_writer_are_swept(tmp_path):
    folder = train(config(tmp_path / "run", epochs=1)).folder
    half = folder.path / "checkpoints" / ".tailscape-abc.pt"
    half.write_bytes(b"half")
    train(config(folder.path, epochs=1))
    assert not half.exists()


def test_what_a_run_holds(tmp_path):
    folder = train(config(tmp_path / "run", epochs=3, checkpoints=(2,))).folder
    assert folder.checkpoint_names() == ["epoch_0000", "epoch_0002", "epoch_0003"]
    assert folder.checkpoint("best").is_file()
    stored = json.loads(folder.config_path.read_text())
    assert {"plan", "versions", "git_commit", "data_sha256", "class_counts"} <= set(stored)
    entry = folder.metrics()[-1]
    assert {"epoch", "lr", "train_loss", "test_accuracy", "test_tail", "seconds"} <= set(entry)
    assert not list(folder.path.rglob(".*")), "temporary files were left behind"


def test_changed_data_are_refused(tmp_path, monkeypatch):
    folder = train(config(tmp_path / "run", epochs=1)).folder
    monkeypatch.setattr("trainers.data.images.ArrayImages.fingerprint", lambda _: "another")
    with pytest.raises(InputError, match="have changed since"):
        train(config(folder.path, epochs=1))


def test_a_run_goes_on_only_where_it_was_stopped(tmp_path):
    folder = train(config(tmp_path / "run", epochs=1)).folder
    content = load_checkpoint(folder.last) | {"device": "cuda"}
    torch.save(content, folder.last)
    with pytest.raises(InputError, match=r"was left on cuda .* use --device cuda"):
        train(config(folder.path, epochs=1))


def test_divergence_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match=r"training loss is (nan|inf) in epoch"):
        train(config(tmp_path / "run", method="ce", rho=None, lr=1e20))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"method": "la+imbsam", "settings": ("eta=2",)}, r"fewer than eta = 2 .* --settings eta"),
        ({"method": "ce+gsa", "settings": ("rule.least=1", "rule.most=0.5")}, "least = 1 is above"),
        ({"method": "focal", "settings": ("gamma=-1",)}, "out of range"),
    ],
)
def test_bad_input_is_found_before_a_run_is_touched(tmp_path, given, sentence):
    folder = train(config(tmp_path / "run", epochs=1)).folder
    before = {p: p.read_bytes() for p in folder.path.rglob("*") if p.is_file()}
    given |= {"rho": None, "epochs": 1}
    for name, overwrite in (("run", True), ("new", False)):
        with pytest.raises(InputError, match=sentence):
            train(config(tmp_path / name, overwrite=overwrite, **given))
    assert {p: p.read_bytes() for p in folder.path.rglob("*") if p.is_file()} == before
    assert not (tmp_path / "new").exists()
