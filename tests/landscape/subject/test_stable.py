"""Losses of fitted samples keep their digits in value, gradient and second derivative."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import landscape
from landscape.subject import stable
from landscape.subject.data import TensorData
from landscape.subject.loss import Loss
from landscape.subject.precise import Precise
from landscape.subject.subject import Subject

MARGINS = (2.0, 20.0, 60.0, 300.0)


def derivatives(loss, margin):
    """Value, slope and curvature of the loss of logits (m, 0) along m, of class 0."""
    m = torch.tensor(margin, dtype=torch.float64, requires_grad=True)
    value = loss(torch.stack([m, torch.zeros_like(m)])[None], torch.tensor([0]))
    (slope,) = torch.autograd.grad(value, m, create_graph=True)
    (bend,) = torch.autograd.grad(slope, m)
    return tuple(float(found.detach()) for found in (value, slope, bend))


LOSSES = {
    "cross_entropy": lambda z, y: F.cross_entropy(z, y),
    "module": lambda z, y: nn.CrossEntropyLoss(reduction="sum")(z, y),
    "log_softmax": lambda z, y: -z.log_softmax(1)[0, y[0]],
    "function": lambda z, y: F.nll_loss(F.log_softmax(z, dim=-1), y),
    "torch": lambda z, y: -torch.log_softmax(z, 1)[0, y[0]],
    "binary": lambda z, y: F.binary_cross_entropy_with_logits(z[0, 0] - z[0, 1], 1.0 - y[0]),
}


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("name", LOSSES)
def test_a_fitted_sample_has_the_derivatives_of_the_closed_form(name, margin):
    p = math.exp(-margin) / (1 + math.exp(-margin))
    with Precise(torch.float64):
        found = derivatives(LOSSES[name], margin)
    expected = math.log1p(math.exp(-margin)), -p, p * (1 - p)
    assert found == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 4, 3), (2, 4, 3, 2)])
@pytest.mark.parametrize("options", [{}, {"reduction": "sum"}, {"reduction": "none"}])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_pytorchs(shape, options, weighted):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64)
    targets = torch.randint(
        4, (shape[0], *shape[2:]) if len(shape) > 1 else (), generator=generator
    )
    if targets.dim():
        targets.view(-1)[0] = -100
    options = options | ({"weight": torch.tensor([1.0, 2, 3, 4]).double()} if weighted else {})
    expected = F.cross_entropy(logits, targets, **options)
    assert torch.allclose(stable.cross_entropy(logits, targets, **options), expected, atol=1e-14)
    soft = torch.rand(shape, generator=generator, dtype=torch.float64)
    smoothed = {**options, "label_smoothing": 0.1}
    assert torch.equal(
        stable.cross_entropy(logits, soft, **options), F.cross_entropy(logits, soft, **options)
    )
    assert torch.equal(
        stable.cross_entropy(logits, targets, **smoothed),
        F.cross_entropy(logits, targets, **smoothed),
    )


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_cross_entropy_is_pytorchs(reduction, weighted):
    generator = torch.Generator().manual_seed(0)
    logits, targets, weights = (torch.rand(5, 3, generator=generator) for _ in range(3))
    given = {"reduction": reduction}
    if weighted:
        given |= {"weight": weights, "pos_weight": weights[0]}
    expected = F.binary_cross_entropy_with_logits(6 * logits - 3, targets, **given)
    found = stable.binary_cross_entropy_with_logits(6 * logits - 3, targets, **given)
    assert torch.allclose(found, expected, atol=1e-6)


def test_log_softmax_of_masked_and_tied_values():
    values = torch.tensor([[1.0, -torch.inf, 1.0], [3.0, 3.0, 3.0]])
    assert torch.allclose(stable.log_softmax(values, 1), values.log_softmax(1))
    with Precise(torch.float32):
        assert torch.equal(torch.ones(2, 1).log_softmax(1), torch.zeros(2, 1))
        half = F.log_softmax(values, dim=1, dtype=torch.float64)
    assert half.dtype == torch.float64


class Named(nn.Module):
    def __init__(self, net, wrap):
        super().__init__()
        self.net, self._wrap = net, wrap

    def forward(self, x):
        return self._wrap(self.net(x))


def own(outputs, labels):
    return F.cross_entropy(outputs, labels, reduction="none")


@pytest.mark.parametrize(
    ("wrap", "loss"),
    [
        (lambda z: z, own),
        (lambda z: z, nn.CrossEntropyLoss(reduction="none")),
        (lambda z: z, lambda z, y: -z.log_softmax(1).gather(1, y[:, None])[:, 0]),
        (lambda z: {"logits": z}, lambda out, y: own(out["logits"], y)),
        (lambda z: (z, z), lambda out, y: own(out[0], y)),
        (lambda z: z, Loss.of_batch(lambda model, batch: own(model(batch[0]), batch[1]))),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fitted_networks_under_losses_of_ones_own(wrap, loss, dtype):
    net = nn.Linear(3, 3)
    with torch.no_grad():
        net.weight.copy_(25 * torch.eye(3))
        net.bias.zero_()
    data = TensorData(torch.eye(3).repeat(3, 1), torch.arange(3).repeat(3))
    expected = landscape.spectrum(Subject(net, data), scopes="overall", dtype="float64")
    assert expected.loss[0] < 1e-10
    found = landscape.spectrum(Subject(Named(net, wrap), data, loss), scopes="overall", dtype=dtype)
    assert found.loss[0] == pytest.approx(expected.loss[0], rel=1e-5)
    assert found.lambda_max[0] == pytest.approx(expected.lambda_max[0], rel=1e-5)
    assert found.grad_norm[0] == pytest.approx(expected.grad_norm[0], rel=1e-5)
