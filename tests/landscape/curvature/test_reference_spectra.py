"""Random matrices with an analytic law, Papyan's cases, outliers, and a saddle among 10⁴."""

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from landscape.analyses.spectrum import spectrum
from landscape.config import SpectrumConfig
from landscape.curvature.dense import MatrixOperator
from landscape.curvature.lanczos import lanczos
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.curvature.sampling import random_probes
from landscape.results.density import smoothed_density
from tests.landscape.references import Diagonal, gaussian, generator, quadratic, quadrature

N = 600


def marchenko_pastur():
    """Wishart of aspect ratio ½ and its law."""
    low, high = (1 - 0.5**0.5) ** 2, (1 + 0.5**0.5) ** 2
    z = gaussian(N, 2 * N)
    return z @ z.T / (2 * N), low, high, lambda x: np.sqrt((high - x) * (x - low)) / (np.pi * x)


def semicircle():
    z = gaussian(N, N)
    return (z + z.T) / (2 * N) ** 0.5, -2, 2, lambda x: np.sqrt(4 - x**2) / (2 * np.pi)


LAWS = {"Marchenko-Pastur": marchenko_pastur, "semicircle": semicircle}


def quantiles(law, low, high, count=2000):
    """So many points of equal mass, which stand for the law."""
    grid = np.linspace(low, high, 100_001)
    mass = np.cumsum(law(grid))
    return np.interp((np.arange(count) + 0.5) / count, mass / mass[-1], grid)


@pytest.mark.parametrize("name", LAWS)
def test_quadrature_is_near_the_analytic_law(name):
    """Within 1 % of the range: a quarter of the distance of 40 nodes, and the law's own 1/N."""
    matrix, low, high, law = LAWS[name]()
    values, weights = quadrature(MatrixOperator(matrix), steps=40, probes=10)
    exact = quantiles(law, low, high)
    distance = wasserstein_distance(exact, values.ravel(), None, weights.ravel())
    assert distance <= 0.01 * (high - low)


@pytest.mark.parametrize("name", LAWS)
def test_the_smoothed_density_is_near_the_smoothed_law(name):
    matrix, low, high, law = LAWS[name]()
    nodes = quadrature(MatrixOperator(matrix), steps=40, probes=40)
    found = smoothed_density(*nodes, points=400, relative_width=0.05)
    atoms = quantiles(law, low, high, 500)
    kernels = np.exp(-0.5 * ((found.grid[:, None] - atoms) / found.sigma) ** 2)
    exact = kernels.mean(axis=1) / (found.sigma * (2 * np.pi) ** 0.5)
    assert np.abs(found.mean - exact).max() <= 0.05 * exact.max()


@pytest.mark.parametrize("n", [500, pytest.param(2000, marks=pytest.mark.slow)])
def test_papyan_15a_three_spikes_on_a_wishart(n):
    """diag(5, 4, 3, 0 …) + ZZᵀ/n: a spike s appears at s + s/(s - 1), the bulk ends at 4."""
    z = gaussian(n, n)
    matrix = z @ z.T / n + torch.diag(torch.tensor([5.0, 4, 3] + [0] * (n - 3)).double())
    exact = torch.linalg.eigvalsh(matrix).numpy()
    config = SpectrumConfig(steps=60, probes=5, tolerance=0)
    found = operator_spectrum(MatrixOperator(matrix), config, generator())
    spikes = found.quadrature[0].values[-3:].numpy()
    assert spikes == pytest.approx(exact[-3:], rel=1e-6)
    assert spikes == pytest.approx([3 + 3 / 2, 4 + 4 / 3, 5 + 5 / 4], rel=0.05)
    values = np.concatenate([ritz.values for ritz in found.quadrature])
    weights = np.concatenate([ritz.weights for ritz in found.quadrature])
    assert wasserstein_distance(exact, values, None, weights) <= 0.01 * exact[-1]
    assert abs(found.trace.value - exact.sum()) <= 4 * found.trace.sem


def test_papyan_15b_a_heavy_tailed_spectrum():
    """ZZᵀ/1000 of Pareto entries: eigenvalues from 10⁻³ to 10⁹, the density in log λ."""
    z = torch.as_tensor(np.random.RandomState(0).pareto(1, (500, 500)))
    matrix = z @ z.T / 1000
    exact = torch.linalg.eigvalsh(matrix).numpy()
    values, weights = quadrature(MatrixOperator(matrix), steps=200, probes=10)
    assert values.max() == pytest.approx(exact[-1], rel=1e-10)
    assert values.min() >= exact[0] - 1e-12 * exact[-1]
    decades = wasserstein_distance(
        np.log10(exact.clip(1e-2)), np.log10(values.ravel().clip(1e-2)), None, weights.ravel()
    )
    assert decades <= 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_six_outliers_among_two_thousand(dtype):
    outliers = np.array([-3.0, 5, 10, 20, 50, 100])
    exact = np.r_[outliers, 0.05 * np.random.RandomState(0).randn(1994)]
    operator = Diagonal(torch.as_tensor(exact, dtype=dtype))
    runs = lanczos(operator, random_probes(operator, 4, generator()), 60)
    quadrature = [run.quadrature for run in runs]
    for ritz in quadrature:
        far = ritz.values[ritz.values.abs() > 1].numpy()  # six, so no copy of any of them
        assert far == pytest.approx(outliers, rel=1e-5)
        # |z_i|² = 1/n of a Rademacher start on a diagonal
        heavy = ritz.weights[ritz.values.abs() > 1].numpy()
        assert heavy == pytest.approx(np.full(6, 1 / 2000), rel=1e-3)
    values = np.concatenate([ritz.values for ritz in quadrature])
    weights = np.concatenate([ritz.weights for ritz in quadrature])
    assert wasserstein_distance(exact, values, None, weights) <= 5e-5 * np.ptp(exact)
    found = operator_spectrum(operator, SpectrumConfig(steps=60, tolerance=0), generator())
    assert abs(found.trace.value - exact.sum()) <= 4 * found.trace.sem


SADDLE = SpectrumConfig(steps=800, probes=1, trace_probes=0, tolerance=1e-7)


@pytest.mark.parametrize(
    "spacing", [np.geomspace, pytest.param(np.linspace, marks=pytest.mark.slow)]
)
def test_one_negative_direction_of_a_thousandth_among_ten_thousand_up_to_a_thousand(spacing):
    """f = ½θᵀDθ, the peers' saddle: λmin = -1e-3 is a millionth of λmax, and it is proved."""
    diagonal = torch.as_tensor(np.r_[-1e-3, spacing(1, 1e3, 9999)])
    found = operator_spectrum(Diagonal(diagonal), SADDLE, generator())
    assert found.low.value + found.low.bound < 0
    assert found.low.value == pytest.approx(-1e-3, rel=0.01)
    assert found.low.value >= -1e-3 - found.low.bound
    assert found.high.value == pytest.approx(1e3, abs=found.high.bound + 1e-9)
    assert found.converged


@pytest.mark.parametrize("spacing", [np.geomspace, np.linspace])
def test_the_default_tolerance_does_not_claim_to_know_the_sign_of_a_millionth(spacing):
    diagonal = torch.as_tensor(np.r_[-1e-3, spacing(1, 1e3, 9999)])
    found = operator_spectrum(Diagonal(diagonal), SpectrumConfig(trace_probes=0), generator())
    assert found.low.value - found.low.bound <= -1e-3 <= found.low.value + found.low.bound


@pytest.mark.parametrize(("top", "expected"), [(5e-3, "saddle"), (3e-2, "weak saddle")])
def test_the_verdict_on_one_negative_direction_among_ten_thousand(top, expected):
    subject = quadratic(torch.as_tensor(np.r_[-1e-3, np.geomspace(1e-5, top, 9999)]))
    found = spectrum(subject, SADDLE, scopes="overall", dtype=torch.float64)
    assert found.lambda_min[0] + found.lambda_min_bound[0] < 0
    assert found.lambda_min[0] == pytest.approx(-1e-3, rel=1e-3)
    assert found.verdict[0] == expected
