"""Sharpness against closed forms on a quadratic."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from landscape.analyses.sharpness import sharpness
from landscape.config import SharpnessConfig
from landscape.subject.subject import Subject
from tests.landscape.analyses.test_surface import DATA, regression
from tests.oracles import mlp


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
