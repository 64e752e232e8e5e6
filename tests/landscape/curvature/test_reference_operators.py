"""Which matrix: closed forms and finite differences that other tools are tested with."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscape.analyses.spectrum import spectrum
from landscape.config import SpectrumConfig
from landscape.curvature.dense import dense
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.errors import InputError
from landscape.subject.data import TensorData
from landscape.subject.loss import Loss
from landscape.subject.subject import Subject
from tests.landscape.references import (
    exact_eigenvalues,
    gaussian,
    generator,
    operator_of,
    quadratic,
    rotated,
    small_network,
    small_operator,
)
from tests.oracles import central_differences, conv_net, dense_hessian, mlp, toy_data

FLOAT64 = {"dtype": torch.float64}
DATA = toy_data((3,), (9, 5, 3))


def close(found, exact, tolerance=1e-8):
    assert (found - exact).abs().max() <= tolerance * exact.abs().max()


@pytest.mark.parametrize("batch_size", [5, 100])
def test_linear_with_summed_squares_is_twice_the_kronecker_product(batch_size):
    targets = gaussian(17, 4, seed=1)
    data = TensorData(DATA.inputs, DATA.labels, targets)
    summed = Loss(lambda out, y: len(targets) * ((out - y) ** 2).sum(dim=1))
    subject = Subject(nn.Linear(3, 4, bias=False).double(), data, summed)
    exact = 2 * torch.kron(torch.eye(4, dtype=torch.float64), DATA.inputs.T @ DATA.inputs)
    close(dense(operator_of(subject, batch_size=batch_size, **FLOAT64)), exact)


def test_the_sum_is_n_times_the_mean_whatever_the_batches():
    model, n = mlp(outputs=3), len(DATA.labels)
    exact = dense_hessian(
        model, lambda out: F.cross_entropy(out, DATA.labels, reduction="sum"), DATA.inputs
    )
    summed = Loss(lambda out, y: n * F.cross_entropy(out, y, reduction="none"))
    for batch_size in (4, 16, 100):
        operator = operator_of(Subject(model, DATA, summed), batch_size=batch_size, **FLOAT64)
        close(dense(operator), exact)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_reduced_loss_is_refused(reduction):
    reduced = Loss(lambda out, y: F.cross_entropy(out, y, reduction=reduction))
    operator = operator_of(Subject(mlp(outputs=3), DATA, reduced), **FLOAT64)
    with pytest.raises(InputError, match="one value a sample"):
        operator.loss_and_gradient()


def test_a_quadratic_with_a_full_matrix():
    matrix = rotated(np.r_[-0.7, np.linspace(0.1, 2, 28), 5.0])
    subject = quadratic(matrix)
    theta = subject.model.theta.detach()
    operator = operator_of(subject, **FLOAT64)
    close(dense(operator), matrix, 1e-14)
    loss, gradient = operator.loss_and_gradient()
    assert loss == pytest.approx(float(0.5 * theta @ matrix @ theta), rel=1e-13)
    close(gradient, matrix @ theta, 1e-13)
    config = SpectrumConfig(steps=40, probes=1, tolerance=0)
    found = spectrum(subject, config, scopes="overall", **FLOAT64)
    assert found.lambda_min[0] == pytest.approx(-0.7, rel=1e-10)
    assert found.lambda_max[0] == pytest.approx(5, rel=1e-10)
    assert found.trace[0] == pytest.approx(float(matrix.trace()), rel=1e-10)


@pytest.mark.parametrize(
    ("build", "shape"),
    [(lambda: mlp(outputs=3), (3,)), (lambda: conv_net().eval(), (1, 4, 4))],
    ids=["mlp", "conv"],
)
def test_equals_central_differences(build, shape):
    data = toy_data(shape, (9, 5, 3))
    exact = central_differences(build(), lambda out: F.cross_entropy(out, data.labels), data.inputs)
    found = dense(operator_of(Subject(build(), data), batch_size=5, **FLOAT64))
    close(found, exact, 1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_order_of_the_samples_does_not_matter(dtype):
    model, data = small_network()
    order = torch.randperm(len(data.labels), generator=generator(3))
    moved = TensorData(data.inputs[order], data.labels[order])
    v = gaussian(516, 3).to(dtype)
    a, b = (
        operator_of(Subject(model, d), batch_size=40, dtype=dtype).matmat(v) for d in (data, moved)
    )
    close(a, b, 10 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("exponent", range(9))
def test_a_float32_network_looks_the_same_at_every_scale_of_the_loss(exponent):
    """Not convex: λmin / λmax is -0.0055, which a shift of 1e-6 turns into a saddle."""
    scale, exact = 10.0**-exponent, exact_eigenvalues()
    config = SpectrumConfig(steps=60, probes=1, trace_probes=4, tolerance=0)
    found = operator_spectrum(small_operator(scale=scale), config, generator())
    base = operator_spectrum(small_operator(), config, generator())
    top = exact[-1]
    assert found.high.value / scale == pytest.approx(top, rel=1e-5)
    assert found.low.value / scale == pytest.approx(exact[0], abs=1e-5 * top)
    assert found.trace.value / scale == pytest.approx(base.trace.value, rel=1e-5)
    assert found.low.bound / scale == pytest.approx(base.low.bound, abs=1e-5 * top)
