"""Runs opened from Python: results by analysis, checkpoints as subjects."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch

import landscape
import landscape.run
from landscape.errors import InputError
from landscape.results.load import read_record
from landscape.results.spectrum import Spectrum
from trainers.reopen import run_subject


def test_results_by_analysis(runs):
    run = landscape.open_run(runs / "sam")
    assert run.checkpoints == ["epoch_0000", "epoch_0002", "epoch_0004", "best"]
    assert run.analyses == ["accuracy", "spectrum"]
    found = run.results("spectrum")
    assert list(found) == ["epoch_0000", "epoch_0002", "epoch_0004"]
    assert all(type(record) is Spectrum for record in found.values())
    for name in ("last", "4", "epoch_0004"):
        record = run.result("spectrum", name)
        assert record.provenance == found["epoch_0004"].provenance
    with pytest.raises(InputError, match="unknown result of 'spectrum' at checkpoint '3'"):
        run.result("spectrum", "3")
    with pytest.raises(InputError, match=r"has no results of 'surface-pca'.*--analyses surface"):
        run.result("surface-pca")
    with pytest.raises(InputError, match="is no run folder"):
        landscape.open_run(runs)


@pytest.mark.usefixtures("declared")
def test_a_subject_has_the_origin_of_its_run(runs):
    run = landscape.open_run(str(runs / "plain"))
    subject = run.subject("4", device="cpu")
    assert subject.checkpoint == run.subject(device="cpu").checkpoint == "epoch_0004"
    record, stored = landscape.accuracy(subject), run.result("accuracy")
    for name in ("checkpoint", "weights_sha256", "data_sha256", "loss"):
        assert getattr(record.provenance, name) == getattr(stored.provenance, name)
    for name in ("run", "plan", "class_names", "class_counts"):
        assert record.provenance.config[name] == stored.provenance.config[name]
    early = run_subject(runs / "plain", "epoch_0000", device="cpu")
    state = early.model.state_dict()
    assert not all(torch.equal(v, state[n]) for n, v in subject.model.state_dict().items())


def test_a_checkpoint_that_nothing_opens_is_named(runs, monkeypatch):
    monkeypatch.setattr(landscape.run, "entry_points", lambda **_: [])
    with pytest.raises(InputError, match="no installed package opens checkpoints"):
        landscape.open_run(runs / "plain").subject()


@pytest.mark.parametrize("value", ["trainers.none:run_subject", "trainers:run_subject"])
def test_a_package_that_another_hides_is_named(runs, monkeypatch, value):
    hidden = [EntryPoint("subject", value, "tailscape.runs")]
    monkeypatch.setattr(landscape.run, "entry_points", lambda **_: hidden)
    with pytest.raises(InputError, match=f"'{value}', which opens .* hides the package: rename"):
        landscape.open_run(runs / "plain").subject()


def test_the_provenance_alone_is_read(runs):
    path = runs / "plain/results/spectrum/epoch_0004.h5"
    assert landscape.load_provenance(path) == read_record(path)[1]
    with pytest.raises(InputError, match="no result file"):
        landscape.load_provenance(runs / "none.h5")


def test_a_surface_goes_on_where_it_stopped():
    torch.manual_seed(0)
    subject = landscape.Subject(
        torch.nn.Linear(3, 2), landscape.TensorData(torch.randn(8, 3), torch.arange(8) % 2)
    )
    settings = landscape.SurfaceConfig(points=3)
    whole, kept = landscape.surface(subject, settings), []

    def keep(record):
        kept.append(int(record.done.sum()))
        assert record.provenance.analysis == "surface"
        if len(kept) == 4:
            kept.append(record)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        landscape.surface(subject, settings, keep=keep)
    assert kept[:4] == [1, 2, 3, 4]
    points = []
    again = landscape.surface(subject, settings, partial=kept[4], progress=points.append)
    assert points[0] == "5 of 9 points"
    assert np.array_equal(again.loss, whole.loss)
    other = landscape.SurfaceConfig(points=3, normalisation="none")
    with pytest.raises(InputError, match="partial=None starts it anew"):
        landscape.surface(subject, other, partial=kept[4])
