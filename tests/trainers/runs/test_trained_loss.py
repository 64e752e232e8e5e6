"""The loss of a run's training at a checkpoint against the trainer's own."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from landscape.analyses.surface import surface
from landscape.config import SurfaceConfig
from trainers.config import TrainConfig
from trainers.data.samplers import class_shares, epoch_order
from trainers.reopen import open_run_data, open_subject
from trainers.runs.checkpoint import load_checkpoint
from trainers.runs.trained_loss import trained_loss
from trainers.trainer import Trainer
from trainers.training import train

CPU = torch.device("cpu")


def run_of(method, folder, **given):
    options = {"method": method, "epochs": 3, "device": "cpu", "checkpoints": (2, 3)}
    found = train(TrainConfig(**(options | given), out=folder)).folder
    return found, open_run_data(found, CPU)


def everything(data):
    (batch,) = data.train.batches(torch.arange(len(data.train.labels)), len(data.train.labels))
    return batch


def own_loss(folder, data, checkpoint, epoch):
    """The trainer's loss of all images in one batch, the model in eval mode."""
    trainer = Trainer(folder.plan(), data, CPU)
    stored = load_checkpoint(folder.checkpoint(checkpoint))
    trainer.model.load_state_dict(stored["model"])
    trainer.model.eval()
    with torch.no_grad():
        return float(trainer.objective(*everything(data), epoch).losses().mean())


@pytest.fixture(scope="module")
def ldam(tmp_path_factory):
    return run_of("ldam-drw", tmp_path_factory.mktemp("ldam") / "run")


def check_loss(folder, data, method, name):
    for checkpoint, epoch in (("epoch_0002", 1), ("epoch_0003", 2)):
        loss = trained_loss(folder, checkpoint, data)
        subject = open_subject(folder, checkpoint, data, CPU)
        each = loss.per_sample(subject.model, everything(data))
        expected = own_loss(folder, data, checkpoint, epoch)
        assert float(each.detach().mean()) == pytest.approx(expected, rel=1e-5)
        weighted = method == "vs-cb" or (method.endswith("drw") and epoch == 2)
        assert loss.name == (f"{name}, classes weighted" if weighted else name)


def test_it_is_the_trainers_own_loss(ldam):
    check_loss(*ldam, "ldam-drw", "ldam")


@pytest.mark.slow
@pytest.mark.parametrize(("method", "name"), [("la-drw", "la"), ("vs-cb", "vs"), ("ib", "ib")])
def test_it_is_that_of_other_methods(tmp_path, method, name):
    check_loss(*run_of(method, tmp_path / "run"), method, name)


def test_a_surface_holds_it(ldam):
    folder, data = ldam
    subject = open_subject(folder, "epoch_0003", data, CPU)
    loss = trained_loss(folder, "epoch_0003", data)
    for more in ({}, {"samples_per_class": 5}):
        found = surface(subject, SurfaceConfig(points=3), objective=loss, **more)
        assert str(found.objective_name) == "ldam, classes weighted"
        if not more:
            expected = own_loss(folder, data, "epoch_0003", 2)
            assert found.scope_objective("overall")[1, 1] == pytest.approx(expected, rel=1e-5)
        assert not np.allclose(found.objective, found.loss)


@pytest.mark.slow
def test_a_second_stage_descends_the_mean_over_classes(tmp_path):
    folder, data = run_of("crt", tmp_path / "run", checkpoints=(3, 4))
    inputs, labels = everything(data)
    for name, balanced in (("epoch_0003", False), ("epoch_0004", True)):
        subject = open_subject(folder, name, data, CPU)
        with torch.no_grad():
            each = F.cross_entropy(subject.model(inputs), labels, reduction="none").double()
        classes = torch.stack([each[labels == c].mean() for c in range(10)])
        expected = classes.mean() if balanced else each.mean()
        found = trained_loss(folder, name, data).per_sample(subject.model, (inputs, labels))
        assert float(found.detach().mean()) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["clouded", "bcl", "paco"])
def test_what_is_no_function_of_a_sample_is_left_out(tmp_path, method):
    folder, data = run_of(method, tmp_path / "run", epochs=1, checkpoints=(1,))
    assert trained_loss(folder, "epoch_0001", data) is None


@pytest.mark.parametrize("name", ["instance", "balanced", "balanced-4", "reversed", "sqrt"])
def test_shares_are_those_that_samplers_draw(name):
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor([600, 300, 20]))
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat([labels[epoch_order(name, labels, 3, generator)] for _ in range(40)])
    expected = torch.bincount(drawn, minlength=3) / len(drawn)
    found = class_shares(name, torch.bincount(labels))
    assert torch.allclose(found.float(), expected, atol=0.01)
