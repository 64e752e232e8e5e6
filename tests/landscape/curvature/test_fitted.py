"""Fitted networks keep their curvature: none is refused, and every interval holds an eigenvalue."""

import copy
import functools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscape.analyses.spectrum import spectrum
from landscape.config import SpectrumConfig
from landscape.subject.data import TensorData
from landscape.subject.loss import cross_entropy, margin_cross_entropy
from landscape.subject.subject import Subject
from tests.oracles import dense_hessian

LOSSES = (1e-2, 1e-4, 1e-6, 1e-8)


def multilayer():
    return nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)), (16,)


def convolutional():
    layers = (nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    head = (nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 4))
    return nn.Sequential(*layers, *head), (1, 4, 4)


@functools.cache  # both precisions judge the same networks
def fitted(make, target, seed):
    """Train until every sample is right, then lengthen the last layer until the loss is met."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, shape = make()
        labels = torch.arange(40) % 4
        inputs = torch.randn(40, *shape) + 2 * torch.randn(4, *shape)[labels]
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for step in range(600):
            model.train(step < 30)
            logits = model(inputs)
            if step > 100 and bool((logits.argmax(dim=1) == labels).all()):
                break
            optimizer.zero_grad()
            F.cross_entropy(logits, labels).backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        logits = model(inputs).double()
        low, high = 1e-3, 1e6
        for _ in range(80):
            factor = (low * high) ** 0.5
            loss = float(margin_cross_entropy(factor * logits, labels).mean())
            low, high = (factor, high) if loss > target else (low, factor)
        for parameter in model[-1].parameters():
            parameter.mul_(factor)
    return model, TensorData(inputs, labels)


def misses(make, seeds, dtype):
    """Count ends whose interval holds no eigenvalue, and brackets that do not hold the spectrum."""
    outside = broken = 0
    for seed in seeds:
        model, data = fitted(make, LOSSES[seed % len(LOSSES)], seed)
        exact = dense_hessian(
            copy.deepcopy(model).double(),
            lambda out, labels=data.labels: margin_cross_entropy(out, labels).mean(),
            data.inputs.double(),
        )
        values = torch.linalg.eigvalsh(exact).numpy()
        config = SpectrumConfig(steps=60, trace_probes=0)
        found = spectrum(Subject(model, data), config, scopes="overall", dtype=dtype, seed=seed)
        for name in ("lambda_min", "lambda_max"):
            value, bound = (float(getattr(found, name + of)[0]) for of in ("", "_bound"))
            outside += bool(np.abs(values - value).min() > bound)
        slack = 1e-13 * np.abs(values).max()
        broken += bool(found.lowest[0] > values[0] + slack or found.highest[0] < values[-1] - slack)
    return outside, broken


@pytest.mark.parametrize("make", [multilayer, convolutional])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_intervals_hold_in_fitted_networks(make, dtype):
    assert misses(make, range(12), dtype) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("make", [multilayer, convolutional])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_intervals_hold_in_fitted_networks_of_many_seeds(make, dtype):
    outside, broken = misses(make, range(300), dtype)
    print(f"{make.__name__}, {dtype}: {outside} of 600 ends outside, {broken} of 300 brackets")
    assert (outside, broken) == (0, 0)


def test_one_large_logit_is_not_called_random():
    """A softmax of four samples, one logit at +14."""
    weight = torch.zeros(3, 4)
    weight[0, 0] = 14.0
    model = nn.Linear(4, 3, bias=False)
    model.weight.data = weight
    data = TensorData(torch.eye(4), torch.tensor([0, 1, 2, 0]))
    for dtype in ("float32", "float64"):
        found = spectrum(Subject(model, data), scopes="class/0", dtype=dtype)
        assert found.converged[0]


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_margins_give_the_cross_entropy_and_its_derivatives(scale):
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn((7, 5), generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 4, 0, -100])

    def both(of):
        return torch.func.hessian(lambda z: of(z).sum())(logits)

    theirs = both(lambda z: F.cross_entropy(z, labels, reduction="none"))
    ours = both(lambda z: margin_cross_entropy(z, labels))
    assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-15)
    each = F.cross_entropy(logits, labels, reduction="none")
    assert torch.allclose(margin_cross_entropy(logits, labels), each, rtol=1e-9, atol=1e-15)


def test_the_hessian_of_a_fitted_sample_keeps_its_digits():
    """Two classes a margin m apart: the curvature along it is e^-m / (1 + e^-m)²."""
    margin = 40.0
    logits = torch.tensor([[margin, 0.0]], dtype=torch.float64)
    labels = torch.tensor([0])
    hessian = torch.func.hessian(lambda z: margin_cross_entropy(z, labels).sum())(logits)
    exact = np.exp(-margin) / (1 + np.exp(-margin)) ** 2
    assert hessian[0, 0, 0, 0].item() == pytest.approx(exact, rel=1e-12)


def test_a_criterion_computes_in_float64_on_a_network_in_float32():
    outputs = torch.randn(4, 3)
    assert cross_entropy().of_outputs(outputs, torch.tensor([0, 1, 2, 0])).dtype == torch.float64
