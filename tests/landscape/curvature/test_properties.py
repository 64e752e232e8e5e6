"""What holds for every matrix, every network and every start, looked for by hypothesis."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from landscape.analyses.spectrum import padded_ritz
from landscape.config import SpectrumConfig
from landscape.curvature.dense import MatrixOperator
from landscape.curvature.lanczos import lanczos
from landscape.curvature.operator import CurvatureOperator
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.curvature.sampling import sphere_starts
from landscape.curvature.verdict import verdict
from landscape.results.density import ritz_rounding, share_bounds
from landscape.subject.data import TensorData
from landscape.subject.subject import Selection, Subject
from tests.landscape.references import generator, rotated
from tests.oracles import dense_hessian

FEW = settings(max_examples=25, deadline=None, derandomize=True)
MANY = settings(max_examples=60, deadline=None, derandomize=True)
SEEDS = st.integers(0, 10**6)


@st.composite
def spectra(draw, largest=24):
    """Eigenvalues: any signs, repeated ones, zeros, scales from 1e-8 to 1e8."""
    distinct = draw(st.lists(st.integers(-50, 50), min_size=1, max_size=largest))
    repeats = draw(st.lists(st.integers(1, 3), min_size=len(distinct), max_size=len(distinct)))
    scale = 10.0 ** draw(st.integers(-8, 8))
    return np.sort(np.repeat(distinct, repeats)) * scale


def runs_of(values, seed, steps, probes=1):
    matrix = rotated(values, seed=seed % 100)
    starts = sphere_starts(MatrixOperator(matrix), probes, generator(seed))
    return matrix, starts, lanczos(MatrixOperator(matrix), starts, steps)


@MANY
@given(spectra(), SEEDS, st.integers(1, 30))
def test_every_decomposition_keeps_lanczos_invariants(values, seed, steps):
    matrix, starts, (run,) = runs_of(values, seed, steps)
    scale = max(np.abs(values).max(), 1e-300)
    rest = matrix @ run.basis.T - run.basis.T @ run.projected
    rest[:, -1] -= run.coupling * run.following
    assert float(rest.abs().max()) <= 1e-10 * scale
    assert run.orthogonality_loss() <= 1e-10
    assert torch.allclose(run.basis[0], starts[:, 0])
    assert run.steps == run.products == len(run.basis) <= min(steps, len(values))


@MANY
@given(spectra(), SEEDS, st.integers(1, 30))
def test_ritz_values_interlace_and_weights_have_the_moments(values, seed, steps):
    matrix, starts, (run,) = runs_of(values, seed, steps)
    ritz, scale = run.ritz(), max(np.abs(values).max(), 1e-300)
    nodes, m = ritz.values.numpy(), run.steps
    room = 1e-10 * scale
    assert (nodes >= values[:m] - room).all()
    assert (nodes <= values[len(values) - m :] + room).all()
    assert float(ritz.weights.sum()) == pytest.approx(1, abs=1e-12)
    vector = starts[:, 0]
    for _ in range(min(2 * m - 1, 6)):
        vector = matrix @ vector / scale
        degree = _ + 1
        moment = float((ritz.weights * (ritz.values / scale) ** degree).sum())
        assert moment == pytest.approx(float(starts[:, 0] @ vector), abs=1e-9)


@MANY
@given(spectra(), SEEDS, st.integers(1, 30))
def test_the_measure_of_a_start_is_within_the_quadratures_bounds(values, seed, steps):
    """Chebyshev, Markov and Stieltjes; so large a P leaves nothing else of the bounds."""
    matrix, starts, (run,) = runs_of(values, seed, steps)
    eigenvalues, vectors = np.linalg.eigh(matrix.numpy())
    shares = (vectors.T @ starts[:, 0].numpy()) ** 2
    scale = max(np.abs(values).max(), 1e-300)
    grid = np.r_[eigenvalues + 1e-8 * scale, eigenvalues - 1e-8 * scale]
    truth = np.array([shares[eigenvalues <= x].sum() for x in grid])
    nodes, weights = padded_ritz([[run.quadrature]])
    rounding = 1e-9 * scale
    low, high = share_bounds(nodes[0], weights[0], grid, 10**14, rounding=rounding)
    assert (low <= truth + 1e-5).all()
    assert (truth <= high + 1e-5).all()


@FEW
@given(spectra(), SEEDS, st.integers(1, 30), st.integers(1, 2))
def test_what_is_proved_of_a_spectrum_is_so(values, seed, steps, probes):
    config = SpectrumConfig(steps=steps, probes=probes, trace_probes=4)
    found = operator_spectrum(MatrixOperator(rotated(values)), config, generator(seed))
    floor = found.noise.rounding + 1e-12 * np.abs(values).max()
    for end in (found.low, found.high):
        assert np.abs(values - end.value).min() <= end.residual + floor
    assert found.low.value >= values[0] - floor
    assert found.high.value <= values[-1] + floor
    assert found.lowest <= found.low.value <= found.high.value <= found.highest
    nodes = padded_ritz([found.quadrature])[0][0]
    error = max(found.noise.rounding, found.noise.repeatability)
    surely = nodes < -ritz_rounding(nodes, found.orthogonality_loss, error)
    assert surely.sum(axis=1).max() <= (values < 0).sum()
    if steps >= len(set(values)):
        assert (found.lowest, found.highest) == pytest.approx(
            (values[0], values[-1]), abs=1e-8 * max(np.abs(values).max(), 1e-300)
        )
        assert abs(found.trace.value - values.sum()) <= 1e-9 * np.abs(values).sum() or (
            found.trace.sem > 0
        )


@FEW
@given(spectra(), SEEDS)
def test_a_matrix_and_its_negative_have_mirrored_answers(values, seed):
    config = SpectrumConfig(steps=30, probes=1, trace_probes=0)
    matrix = rotated(values)
    plain = operator_spectrum(MatrixOperator(matrix), config, generator(seed))
    mirror = operator_spectrum(MatrixOperator(-matrix), config, generator(seed))
    near = pytest.approx
    size = 1e-9 * max(np.abs(values).max(), 1e-300)
    assert (mirror.low.value, mirror.high.value) == near(
        (-plain.high.value, -plain.low.value), abs=size
    )
    assert (mirror.lowest, mirror.highest) == near((-plain.highest, -plain.lowest), abs=size)
    ends = [(s.low.value, s.high.value, s.lowest, s.highest) for s in (plain, mirror)]
    first, second = (verdict(*e, plain.noise.rounding) for e in ends)
    if first == "maximum":
        assert second == "minimum"
    assert (first == "flat") == (second == "flat")


@st.composite
def networks(draw):
    """A small network, its data, and weights of the samples."""
    torch.manual_seed(draw(SEEDS))
    classes, count = draw(st.integers(2, 4)), draw(st.integers(2, 9))
    activation = draw(st.sampled_from([nn.Tanh, nn.GELU, nn.Softplus, nn.SiLU, nn.ReLU]))
    if draw(st.booleans()):
        layers = [nn.Conv2d(1, 2, 3, padding=1, bias=draw(st.booleans())), nn.BatchNorm2d(2)]
        layers += [activation(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, classes)]
        inputs = torch.randn(count, 1, 4, 4).double()
    else:
        layers = [nn.Linear(3, 4), activation(), nn.Linear(4, classes)]
        inputs = torch.randn(count, 3).double()
    model = nn.Sequential(*layers).double().eval()
    labels = torch.arange(count) % classes
    return model, TensorData(inputs, labels), torch.rand(count).double() + 0.1


@FEW
@given(networks(), st.integers(1, 9), SEEDS)
def test_a_product_is_that_of_the_dense_hessian(drawn, batch_size, seed):
    model, data, weights = drawn
    subject = Subject(model, data)
    chosen = Selection(torch.arange(len(weights)), weights)
    operator = CurvatureOperator(subject, chosen, dtype=torch.float64, batch_size=batch_size)

    def loss(outputs):
        return (weights * F.cross_entropy(outputs, data.labels, reduction="none")).sum()

    exact = dense_hessian(model, loss, data.inputs)
    vectors = torch.randn(operator.size, 2, generator=generator(seed)).double()
    found = operator.matmat(vectors)
    scale = float(exact.abs().max()) or 1.0
    assert torch.allclose(found, exact @ vectors, atol=1e-10 * scale * math.sqrt(len(exact)))
    again = operator.matmat(vectors @ torch.tensor([[2.0, 1.0], [-1.0, 3.0]]).double())
    assert torch.allclose(again[:, 0], 2 * found[:, 0] - found[:, 1], atol=1e-9 * scale)
