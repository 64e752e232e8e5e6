"""Sharpness against closed forms on a quadratic."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscape.analyses.operator import operator
from landscape.analyses.sharpness import sharpness
from landscape.config import SharpnessConfig
from landscape.subject.data import TensorData
from landscape.subject.loss import cross_entropy
from landscape.subject.subject import Subject
from landscape.weight_space import held_samples
from tests.landscape.analyses.test_surface import DATA, regression
from tests.oracles import mlp, toy_data


def measured(subject, scopes=("overall", "classes"), **options):
    settings = SharpnessConfig(**{"ratios": (0.01, 0.5), "draws": 3} | options)
    return sharpness(subject, settings, scopes=scopes, dtype=torch.float64)


@pytest.mark.parametrize("scope", ["overall", "class/1"])
def test_one_ascent_step_on_a_quadratic(scope):
    subject, targets = regression()
    found = measured(subject, perturbed="all", radius=0.3)
    s = list(found.scope).index(scope)
    members = slice(None) if scope == "overall" else DATA.labels == 1
    x, t = DATA.inputs[members], targets[members]
    w = subject.model.weight.detach()[0]
    g, hessian = 2 * x.T @ (x @ w - t) / len(x), 2 * x.T @ x / len(x)
    unit = g / g.norm()
    expected = 0.3 * g.norm() + 0.045 * unit @ hessian @ unit
    assert found.sam_sharpness[s] == pytest.approx(float(expected), rel=1e-9)
    assert found.start[s] == pytest.approx(float(((x @ w - t) ** 2).mean()), rel=1e-12)


def dense(subject, data, scope, radius, steps):
    """Both ascents of a scope by autograd on all its samples at once, classes by their counts."""
    model, members = subject.model, torch.isin(data.labels, torch.tensor(scope))
    weights = subject.loss.class_weights
    w = (torch.ones(len(data.labels)) if weights is None else weights[data.labels]).double()
    w = w[members] / w[members].sum()
    centre = torch.nn.utils.parameters_to_vector(model.parameters()).detach()

    def loss(offset):
        torch.nn.utils.vector_to_parameters(centre + offset, model.parameters())
        each = F.cross_entropy(model(data.inputs[members]), data.labels[members], reduction="none")
        return each @ w

    def gradient(offset):
        grads = torch.autograd.grad(loss(offset), list(model.parameters()))
        return torch.cat([g.flatten() for g in grads])

    offset, begin, rises = torch.zeros_like(centre), loss(0 * centre).item(), []
    unit = gradient(offset) / gradient(offset).norm()
    first = loss(radius * unit).item() - begin
    for _ in range(steps):
        g = gradient(offset)
        offset = offset + 2 * radius / steps * g / g.norm()
        offset = offset / max(float(offset.norm()) / radius, 1)
        rises.append(loss(offset).item() - begin)
    torch.nn.utils.vector_to_parameters(centre, model.parameters())
    return begin, first, max(first, *rises)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_size", [4, 100])
def test_every_scope_is_that_of_its_own_samples_alone(weighted, batch_size):
    weights = torch.tensor([0.05, 1.0, 4.0]).double() if weighted else None
    counts = (50, 8, 2)  # of the training, where other data are judged
    subject = Subject(mlp(outputs=3), DATA, cross_entropy(class_weights=weights), (), counts)
    settings = SharpnessConfig(ratios=(0.1,), draws=1, perturbed="all", radius=0.3, steps=4)
    scopes = ("overall", "class/0", "class/2")
    found = sharpness(subject, settings, scopes=scopes, dtype=torch.float64, batch_size=batch_size)
    for s, classes in enumerate(((0, 1, 2), (0,), (2,))):
        begin, first, most = dense(subject, DATA, classes, 0.3, 4)
        assert found.start[s] == pytest.approx(begin, rel=1e-12)
        assert found.sam_sharpness[s] == pytest.approx(first, abs=1e-12)
        assert found.sam_sharpness_steps[s] == pytest.approx(most, abs=1e-12)


class Counted(TensorData):
    read = readings = 0

    def batches(self, indices, batch_size):
        type(self).read += len(indices)
        type(self).readings += 1
        return super().batches(indices, batch_size)


@pytest.mark.parametrize("cached", [True, False])
def test_a_class_costs_its_own_samples(cached, monkeypatch):
    """Twenty classes, each a scope: as many passes over the data as two classes take."""
    if not cached:
        monkeypatch.setattr(held_samples, "MOST_HELD", 0)
    judged = []
    for classes in (2, 20):
        data = toy_data((3,), (40 // classes,) * classes)
        subject = Subject(mlp(outputs=classes), Counted(data.inputs, data.labels))
        settings = SharpnessConfig(ratios=(0.1,), draws=1, steps=3)
        Counted.read = 0
        sharpness(subject, settings, scopes="classes", batch_size=8)
        judged.append(Counted.read - 40 - 1)  # less the fingerprint, and the search for the head
    # checks, of samples alone, too, start and one draw; one pass for all classes; three gradients
    # and five losses of each
    assert judged[1] <= judged[0] <= (84 if cached else 40 * 13)


def test_all_classes_are_read_together(monkeypatch):
    """Data too large to be kept whole; every reading may start processes."""
    monkeypatch.setattr(held_samples, "MOST_HELD", 500)  # bytes: half of the data, and any class
    readings = []
    for classes in (4, 20):
        data = toy_data((3,), (40 // classes,) * classes)
        subject = Subject(mlp(outputs=classes), Counted(data.inputs, data.labels))
        Counted.readings = 0
        settings = SharpnessConfig(ratios=(0.1,), draws=1, steps=3)
        sharpness(subject, settings, scopes="classes", batch_size=8)
        readings.append(Counted.readings)
    assert readings == [7, 7]  # with the fingerprint, the search for the head and two checks


def test_a_network_that_is_its_own_classifier():
    subject = Subject(torch.nn.Linear(3, 3).double(), DATA)
    assert np.isfinite(measured(subject).sam_sharpness).all()


def test_more_steps_find_at_least_as_much():
    subject, _ = regression()
    found = measured(subject, perturbed="all", radius=2.0, steps=20)
    assert (found.sam_sharpness_steps >= found.sam_sharpness).all()
    assert (found.sam_sharpness_steps > found.sam_sharpness * (1 + 1e-6)).any()


def test_the_ascent_stays_in_the_ball():
    """On a quadratic the most in a ball is a trust-region problem; no step may exceed it."""
    subject, targets = regression()
    found = measured(subject, ("overall",), perturbed="all", radius=0.5, steps=200)
    w = subject.model.weight.detach()[0]
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(20000, 3, generator=generator, dtype=torch.float64)
    points = w + 0.5 * directions / directions.norm(dim=1, keepdim=True)
    losses = ((points @ DATA.inputs.T - targets) ** 2).mean(dim=1)
    most = float(losses.max()) - found.start[0]
    assert found.sam_sharpness_steps[0] == pytest.approx(most, rel=1e-3)


def test_noise_has_the_stated_length_and_place():
    """A linear last layer with zero hidden slope: the loss feels the classifier's noise alone."""
    subject = Subject(mlp(outputs=3), DATA)
    found = measured(subject, ratios=(0.0, 0.2), perturbed="classifier", draws=2)
    assert np.allclose(found.loss[0], found.start)
    assert not np.allclose(found.loss[1], found.start)
    model = mlp(outputs=3)
    head = [model[2].weight, model[2].bias]
    generator = torch.Generator().manual_seed(1)  # the second draw of seed 0
    raw = [torch.randn(p.shape, generator=generator).double() for p in model.parameters()]
    del raw
    generator = torch.Generator().manual_seed(1)
    raw = [
        torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in model.parameters()
    ][2:]
    length = torch.cat([r.flatten() for r in raw]).norm()
    own = torch.cat([p.detach().flatten() for p in head]).norm()
    with torch.no_grad():
        for parameter, noise in zip(head, raw, strict=True):
            parameter += 0.2 * own * noise / length
    expected = F.cross_entropy(model(DATA.inputs), DATA.labels).item()
    assert found.loss[1, 1, 0] == pytest.approx(expected, rel=1e-9)


def test_characteristic_radius_and_weighted_loss():
    subject = Subject(mlp(outputs=3), DATA)
    found = measured(subject)
    model = mlp(outputs=3)
    head = list(model[2].parameters())
    size = sum(p.numel() for p in head)
    length = torch.cat([p.detach().flatten() for p in head]).norm()
    for c, count in enumerate((9, 5, 3)):
        members = DATA.labels == c
        loss = F.cross_entropy(model(DATA.inputs[members]), DATA.labels[members])
        grads = torch.autograd.grad(loss, head)
        g = torch.cat([p.flatten() for p in grads]).norm()
        expected = (length / (2 * g)) ** 0.5 * (size * (count - 1)) ** -0.25
        assert found.characteristic_radius[c] == pytest.approx(float(expected), rel=1e-9)
        assert found.weighted_loss[c] == pytest.approx(loss.item() * count / 17, rel=1e-9)


class Tied(nn.Module):
    """The classifier's weight is that of the embedding, whose name comes first."""

    def __init__(self):
        super().__init__()
        self.embedding, self.out = nn.Embedding(6, 4), nn.Linear(4, 6, bias=False)
        self.body = nn.Linear(4, 4)
        self.out.weight = self.embedding.weight

    def forward(self, words):
        return self.out(torch.tanh(self.body(self.embedding(words).mean(dim=1))))


def test_a_weight_that_two_modules_share_is_found_under_both_names():
    model = Tied().double()
    words = torch.randint(6, (12, 3), generator=torch.Generator().manual_seed(0))
    subject = Subject(model, TensorData(words, torch.arange(12) % 6))
    by_first, by_second = (
        operator(subject, parameters=name, dtype="float64") for name in ("embedding.*", "out.*")
    )
    assert by_second.names == by_first.names == ("embedding.weight",)
    vector = torch.randn(24, generator=torch.Generator().manual_seed(1)).double()
    torch.testing.assert_close(by_second @ vector, by_first @ vector)
    found = sharpness(subject, SharpnessConfig(draws=1, perturbed="classifier"), dtype="float64")
    assert np.isfinite(found.start).all()
