"""A run that starts from another's state is the run that it would have been."""

from dataclasses import replace

import pytest

from landscape.errors import InputError
from trainers.config import TrainConfig
from trainers.runs.checkpoint import load_checkpoint
from trainers.testing import same
from trainers.training import train

EPOCHS, FORKED = 5, 4  # digits, five epochs: deferred weights come in after the fourth


def config(out, method="ce", **given):
    return TrainConfig(method=method, epochs=EPOCHS, device="cpu", eval_every=2, out=out, **given)


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    return train(config(tmp_path_factory.mktemp("fork") / "ce", states=(FORKED,))).folder


def test_deferred_weights_from_a_fork_are_those_of_the_whole_run(tmp_path, parent):
    whole = train(config(tmp_path / "whole", "ce-drw")).folder
    forked = train(config(tmp_path / "forked", "ce-drw", fork=parent.state(FORKED)))
    assert forked.resumed_from == FORKED
    assert same(load_checkpoint(whole.last), load_checkpoint(forked.folder.last))
    assert forked.folder.checkpoint_names() == whole.checkpoint_names()
    assert [e["epoch"] for e in forked.folder.metrics()] == [1, 2, 3, 4, 5]
    assert forked.folder.config()["forked_from"] == {
        "run": str(parent.path),
        "method": "ce",
        "epoch": FORKED,
    }
    assert load_checkpoint(forked.folder.last)["model"].keys()
    assert not same(load_checkpoint(parent.last), load_checkpoint(forked.folder.last))


def test_a_rule_with_a_state_of_its_own_begins_anew(tmp_path, parent):
    forked = train(config(tmp_path / "fsam", "ce+fsam", fork=parent.state(FORKED)))
    assert forked.resumed_from == FORKED
    assert load_checkpoint(forked.folder.last)["rule"]["mean"]


def test_a_fork_goes_on_like_any_run(tmp_path, parent):
    given = config(tmp_path / "forked", "ce-drw", fork=parent.state(FORKED))
    first = train(given)
    assert train(given).resumed_from == EPOCHS
    assert same(load_checkpoint(first.folder.last), load_checkpoint(first.folder.last))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"seed": 1}, "its seed is 0, asked for 1"),
        ({"lr": 0.05}, "its recipe is"),
        ({"precision": "bfloat16"}, "its precision is float32"),
        ({"imbalance": 10}, "trained on other data"),
    ],
)
def test_runs_that_differ_in_more_than_their_method(tmp_path, parent, changed, sentence):
    given = config(tmp_path / "forked", "ce-drw", fork=parent.state(FORKED))
    with pytest.raises(InputError, match=sentence):
        train(replace(given, **changed))
    assert not (tmp_path / "forked" / "config.json").exists()


def test_weights_alone_are_no_state(tmp_path, parent):
    weights = parent.checkpoint(f"epoch_{EPOCHS:04d}")
    with pytest.raises(InputError, match=r"holds weights alone; .* --states 5"):
        train(config(tmp_path / "forked", "ce-drw", fork=weights))


def test_a_translation_without_its_plain_network_is_refused(tmp_path, parent):
    with pytest.raises(InputError, match="fork from a run of m2m"):
        train(config(tmp_path / "m2m", "m2m", fork=parent.state(FORKED)))
