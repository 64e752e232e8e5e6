"""Bounds on the whole spectrum that hold with a stated probability."""

import math

import numpy as np
import pytest
import torch

from landscape.config import SpectrumConfig
from landscape.curvature.confidence import least_share, spectrum_bounds
from landscape.curvature.dense import MatrixOperator
from landscape.curvature.error_bounds import HIDDEN
from landscape.curvature.lanczos import lanczos
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.curvature.sampling import sphere_starts
from tests.landscape.references import Diagonal

OUTLIER = np.r_[-3.0, np.linspace(0, 1, 298), 20.0, 100.0]
BULK = np.linspace(-1, 1, 300)


def diagonal(values):
    return MatrixOperator(torch.diag(torch.as_tensor(values)))


def runs_of(operator, seed, steps, count=1):
    starts = sphere_starts(operator, count, torch.Generator().manual_seed(seed))
    return [run.quadrature for run in lanczos(operator, starts, steps)]


def test_the_polynomial_is_the_determinant_over_the_off_diagonals():
    operator = diagonal(BULK)
    starts = sphere_starts(operator, 1, torch.Generator().manual_seed(0))
    (run,) = lanczos(operator, starts, 9)
    off = [float(run.projected[i, i + 1]) for i in range(8)] + [run.coupling]
    low, high = spectrum_bounds([run.quadrature], 300, 0.9)
    for end in (low, high):
        shifted = run.projected - end * torch.eye(9).double()
        polynomial = abs(float(torch.linalg.det(shifted))) / math.prod(off)
        assert polynomial == pytest.approx(1 / least_share(300, 0.05), rel=1e-6)


@pytest.mark.parametrize("size", [2, 10, 1000])
def test_least_share_is_that_of_random_unit_vectors(size):
    vectors = np.random.default_rng(0).standard_normal((20000, size))[:, :1000]
    first = np.abs(vectors[:, 0]) / np.linalg.norm(vectors, axis=1)
    below = (first < least_share(size, 0.2)).mean()
    assert below == pytest.approx(0.2, abs=0.01)
    assert least_share(1, 0.2) == 1


@pytest.mark.parametrize("values", [OUTLIER, BULK], ids=["outlier", "bulk"])
@pytest.mark.parametrize(("steps", "count"), [(3, 1), (6, 1), (6, 2), (15, 2)])
def test_the_whole_spectrum_is_inside_as_often_as_stated(values, steps, count):
    outside = 0
    for seed in range(200):
        low, high = spectrum_bounds(runs_of(diagonal(values), seed, steps, count), len(values), 0.9)
        outside += low > values.min() or high < values.max()
    assert outside <= 0.1 * 200 + 8, "both ends share the tenth"


def test_the_interval_closes_in_on_the_ends():
    low, high = spectrum_bounds(runs_of(diagonal(OUTLIER), 0, 60), len(OUTLIER))
    assert (low, high) == (pytest.approx(-3, abs=1e-6), pytest.approx(100, abs=1e-6))
    assert low <= -3
    assert high >= 100


def test_an_invariant_subspace_is_exact():
    low, high = spectrum_bounds(runs_of(diagonal(np.r_[np.zeros(40), -1.0, 2.0]), 0, 30), 42)
    assert (low, high) == (pytest.approx(-1, abs=1e-9), pytest.approx(2, abs=1e-9))


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_the_interval_scales(scale):
    plain = spectrum_bounds(runs_of(diagonal(BULK), 0, 8), 300)
    scaled = spectrum_bounds(runs_of(diagonal(scale * BULK), 0, 8), 300)
    assert scaled == pytest.approx([scale * end for end in plain], rel=1e-6)


def test_one_step_and_nan():
    low, high = spectrum_bounds(runs_of(diagonal(BULK), 0, 1), 300)
    assert low < -1
    assert high > 1
    broken = diagonal(np.r_[np.nan, BULK])
    assert all(math.isnan(end) for end in spectrum_bounds(runs_of(broken, 0, 3), 301))


@pytest.mark.parametrize("probes", [1, 2])
def test_an_end_that_hides_from_the_start_is_not_missed(probes):
    """An outlier at 3 % of λmax that a run of five steps does not see yet."""
    matrix = torch.diag(torch.as_tensor(np.sort(OUTLIER)))
    for seed in range(60):
        config = SpectrumConfig(probes=probes, trace_probes=0)
        generator = torch.Generator().manual_seed(seed)
        found = operator_spectrum(MatrixOperator(matrix), config, generator)
        assert found.converged
        assert abs(found.low.value + 3) <= found.low.bound + 1e-9
        assert found.lowest <= -3 + 1e-9


def test_too_few_steps_are_not_called_converged():
    config = SpectrumConfig(probes=1, trace_probes=0, steps=5)
    found = operator_spectrum(diagonal(np.sort(OUTLIER)), config, torch.Generator().manual_seed(1))
    assert not found.converged
    assert found.lowest < -3 < found.low.value


def test_a_run_that_stops_leaves_room_for_the_rounding_of_what_is_certified():
    """λmin at zero, where the last thing to wait for is that nothing hides."""
    values = np.r_[np.zeros(2000), np.geomspace(1e-4, 1, 400)]
    operator = Diagonal(torch.as_tensor(values, dtype=torch.float32))
    config = SpectrumConfig(probes=1, trace_probes=0)
    for seed in range(40):
        found = operator_spectrum(operator, config, torch.Generator().manual_seed(seed))
        assert len(found.quadrature[0].values) < config.steps
        assert found.low.value - found.lowest <= 0.95 * HIDDEN
        assert found.converged
