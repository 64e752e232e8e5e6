"""Weight averaging and spectral normalisation against their definitions."""

import pytest
import torch
from torch.nn import functional as F

from tests.oracles import Staged, objective_of, toy_data
from trainers.config import TrainConfig
from trainers.regularisers.spectral_norm import SpectralNorm
from trainers.regularisers.swa import WeightAverage
from trainers.rules.sgd import SGD
from trainers.runs.checkpoint import load_checkpoint
from trainers.trainer import Trainer
from trainers.training import prepare, train

DATA = toy_data((3,), (6, 4, 2))


class Augmented:
    """Training images that are read with a generator."""

    labels = DATA.labels

    def batches(self, indices, size, generator=None):  # noqa: ARG002
        yield from ((DATA.inputs[part], DATA.labels[part]) for part in indices.split(size))


def test_the_last_epochs_weights_are_averaged():
    model, swa, seen = Staged(batchnorm=True).train(), WeightAverage(start=0.5), []
    for epoch in range(4):
        with torch.no_grad():
            model.head.weight.fill_(float(epoch))
        seen.append(float(model.head.weight[0, 0].detach()))
        objective = objective_of(model, DATA, epoch=epoch, epochs=4)
        swa.end_epoch(objective, Augmented(), Augmented(), torch.Generator())
    assert seen == [0, 1, 2, 3]
    assert torch.allclose(model.head.weight, torch.full_like(model.head.weight, 2.5))
    assert swa.state() == {"mean": [], "epochs": 0}
    hidden = model.second(model.shared(DATA.inputs)).detach()
    assert torch.allclose(model.norm.running_mean, hidden.mean(dim=0))
    assert torch.allclose(model.norm.running_var, hidden.var(dim=0))
    assert model.norm.momentum == 0.1


def test_a_classifier_alone_keeps_the_statistics():
    model, swa = Staged(batchnorm=True).train(), WeightAverage(start=0.0, stage="second")
    for parameter in (*model.first.parameters(), *model.last_parameters()):
        parameter.requires_grad_(False)
    before = model.norm.running_mean.clone()
    swa.end_epoch(objective_of(model, DATA), Augmented(), Augmented(), torch.Generator())
    assert torch.equal(model.norm.running_mean, before)


def test_largest_singular_values_are_one():
    model, norm = Staged(), SpectralNorm()
    norm.project(model)
    for _ in range(50):
        norm.project(model)
    for weight in (model.first.weight, model.second.weight, model.head.weight):
        assert float(torch.linalg.matrix_norm(weight.detach(), 2)) == pytest.approx(1)


def test_the_gradient_is_that_through_the_normalisation():
    model, norm = Staged().eval(), SpectralNorm()
    for _ in range(200):
        norm.project(model)
    objective = objective_of(model, DATA)
    SGD()(objective)
    norm.add(objective)
    raw = model.head.weight.detach().clone().requires_grad_()
    features = model.features(DATA.inputs).detach()
    normalised = raw / torch.linalg.matrix_norm(raw, 2)
    loss = F.cross_entropy(features @ normalised.T + model.head.bias, DATA.labels)
    (expected,) = torch.autograd.grad(loss, raw)
    assert torch.allclose(model.head.weight.grad, expected, atol=1e-9)


def test_training_keeps_the_weights_normalised(tmp_path):
    config = TrainConfig(method="ce+sn", epochs=2, device="cpu", out=tmp_path / "run")
    folder = train(config).folder
    for name in ("epoch_0000", "epoch_0002"):
        weights = load_checkpoint(folder.checkpoint(name))["model"]
        for key in ("head.weight", "layer1.0.conv1.weight"):
            largest = float(torch.linalg.matrix_norm(weights[key].flatten(1), 2))
            assert largest == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("stage", "acts"), [("first", (1, 0)), ("second", (0, 1))])
def test_stages_in_which_a_regulariser_acts(stage, acts):
    config = TrainConfig(method="crt+swa", device="cpu", settings=(f"regulariser.stage={stage}",))
    trainer = Trainer(*prepare(config))
    found = []
    for index in (0, 1):
        trainer.enter(index)
        found.append(int(trainer.acting is not None))
    assert tuple(found) == acts
