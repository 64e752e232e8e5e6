"""Weights from files as people leave them."""

import argparse
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from landscape.errors import InputError
from landscape.subject.state_dict import load_state, weights_sha256
from landscape.subject.weights_file import read_state


def network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)


class CreatesAFile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def lightning(state):
    return {
        "epoch": 3,
        "global_step": 12,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": {f"net.{n}": v for n, v in state.items()} | {"loss.weight": torch.ones(2)},
        "hyper_parameters": {"lr": 0.1},
        "callbacks": {},
    }


PLACES = {
    "bare": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model": lambda state: {"model": state, "optimizer": {"state": {}}},
    "model_state_dict": lambda state: {"model_state_dict": state, "loss": 0.5},
    "parallel": lambda state: {"state_dict": {f"module.{n}": v for n, v in state.items()}},
    "compiled": lambda state: {f"_orig_mod.{n}": v for n, v in state.items()},
    "both": lambda state: {f"module._orig_mod.{n}": v for n, v in state.items()},
    "nested": lambda state: {"model": {"state_dict": state}},
    "lightning": lightning,
    "namespace": lambda state: {"state_dict": state, "args": argparse.Namespace(lr=0.1)},
    "numpy": lambda state: {"state_dict": state, "best": np.float64(0.5), "n": np.int64(3)},
}


@pytest.mark.parametrize("place", PLACES)
def test_state_dicts_are_found(place, tmp_path):
    trained, model = network(seed=1), network(seed=2)
    torch.save(PLACES[place](trained.state_dict()), tmp_path / "w.pth")
    load_state(model, read_state(tmp_path / "w.pth"), tmp_path / "w.pth")
    for name, value in trained.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)
    assert weights_sha256(model) == weights_sha256(trained)


def test_lightning_leftovers_are_named(tmp_path):
    torch.save(lightning(network().state_dict()), tmp_path / "w.ckpt")
    found = load_state(network(), read_state(tmp_path / "w.ckpt"), tmp_path / "w.ckpt")
    assert (found.prefix, found.ignored) == ("net.", ("loss.weight",))


def test_safetensors(tmp_path):
    trained, model = network(seed=1), network(seed=2)
    save_file(trained.state_dict(), tmp_path / "w.safetensors")
    load_state(model, read_state(tmp_path / "w.safetensors"), tmp_path / "w.safetensors")
    assert weights_sha256(model) == weights_sha256(trained)
    (tmp_path / "broken.safetensors").write_bytes(b"no header")
    with pytest.raises(InputError, match="no whole checkpoint"):
        read_state(tmp_path / "broken.safetensors")


def test_a_file_that_would_run_code_is_refused(tmp_path):
    mark = tmp_path / "ran"
    torch.save({"state_dict": network().state_dict(), "x": CreatesAFile(mark)}, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"can run code.*trust_pickle"):
        read_state(tmp_path / "w.pt")
    assert not mark.exists()
    read_state(tmp_path / "w.pt", trust_pickle=True)
    assert mark.exists()  # which is what trusting means


def test_a_whole_module_needs_trust(tmp_path):
    torch.save(network(seed=1), tmp_path / "whole.pt")
    with pytest.raises(InputError, match=r"torch\.nn\.modules"):
        read_state(tmp_path / "whole.pt")
    assert (
        read_state(tmp_path / "whole.pt", trust_pickle=True).keys() == network().state_dict().keys()
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cut off"),
        (b"hello world", "no whole checkpoint"),
        (pickle.dumps({"a": 1}, protocol=2), "no whole checkpoint|no state dict"),
    ],
)
def test_damaged_files(content, words, tmp_path):
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_state(tmp_path / "w.pt")


def test_truncated_and_missing_files(tmp_path):
    torch.save(network().state_dict(), tmp_path / "w.pt")
    whole = (tmp_path / "w.pt").read_bytes()
    (tmp_path / "half.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="no whole checkpoint"):
        read_state(tmp_path / "half.pt")
    with pytest.raises(InputError, match="no weights"):
        read_state(tmp_path / "absent.pt")
    torch.save({"epoch": 3, "optimizer": {}}, tmp_path / "none.pt")
    with pytest.raises(InputError, match="found epoch, optimizer"):
        read_state(tmp_path / "none.pt")


def test_a_mismatch_lists_names_and_the_nearest(tmp_path):
    other = nn.ModuleDict({"fc1": nn.Linear(3, 2)})
    model = Named()
    before = weights_sha256(model)
    with pytest.raises(InputError) as caught:
        load_state(model, other.state_dict(), tmp_path / "w.pt")
    message = str(caught.value)
    assert "missing: fc.weight (nearest in the file: fc1.weight)" in message
    assert "not in the model: fc1.weight, fc1.bias" in message
    with pytest.raises(InputError, match=r"fc.weight is \(5, 3\), the model has \(2, 3\)"):
        load_state(model, {"fc.weight": torch.zeros(5, 3), "fc.bias": torch.zeros(2)}, tmp_path)
    assert weights_sha256(model) == before


def test_old_files_without_batch_counts(tmp_path):
    state = {n: v for n, v in network(1).state_dict().items() if "num_batches" not in n}
    model = network(2)
    load_state(model, state, tmp_path)
    assert torch.equal(model[1].running_var, state["1.running_var"])
