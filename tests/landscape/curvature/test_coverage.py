"""How often what is stated contains the truth, over many seeds."""

import numpy as np
import pytest
import torch

from landscape.config import SpectrumConfig
from landscape.curvature.dense import MatrixOperator
from landscape.curvature.operator_spectrum import operator_spectrum
from tests.landscape.references import (
    SPECTRA,
    exact_eigenvalues,
    generator,
    rotated,
    small_operator,
)

PAIRS = np.r_[-0.5, -0.499, np.linspace(-0.3, 0.3, 80), 0.999, 1.0]
CASES = {name: SPECTRA[name] for name in ("outliers", "indefinite Wishart", "linear", "decaying")}
CASES |= {"close pairs": PAIRS}
SEEDS = [12, pytest.param(300, marks=pytest.mark.slow)]
STAGES = [(3, 0.0), (10, 0.0), (25, 0.0), (100, 1e-2), (100, 1e-3)]


def ends(matrix, exact, seed, steps, tolerance):
    """Error of each end, distance to the nearest eigenvalue, bound, converged."""
    config = SpectrumConfig(steps=steps, probes=1 + seed % 2, tolerance=tolerance, trace_probes=0)
    found = operator_spectrum(MatrixOperator(matrix), config, generator(seed))
    for end, truth in ((found.low, exact.min()), (found.high, exact.max())):
        nearest = np.abs(exact - end.value).min()
        yield abs(end.value - truth), nearest, end.bound, found.converged


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seeds", SEEDS)
def test_value_and_bound_always_contain_an_eigenvalue(name, seeds):
    exact = CASES[name]
    matrix, rounding = rotated(exact), 1e-12 * np.abs(exact).max()
    for seed in range(seeds):
        for steps, tolerance in STAGES:
            for _, nearest, bound, _ in ends(matrix, exact, seed, steps, tolerance):
                assert nearest <= bound + rounding, (seed, steps, tolerance)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seeds", SEEDS)
def test_the_true_ends_are_within_the_default_tolerance_where_it_says_converged(name, seeds):
    """In 97 % of seeds: no residual can exclude an end that the start hardly contains."""
    exact = CASES[name]
    matrix, allowed = rotated(exact), 1e-3 * np.abs(exact).max()
    missed = 0
    for seed in range(seeds):
        config = SpectrumConfig(trace_probes=0)
        found = operator_spectrum(MatrixOperator(matrix), config, generator(seed))
        assert found.converged
        errors = found.low.value - exact.min(), exact.max() - found.high.value
        missed += max(errors) > allowed + 1e-12
    assert missed <= max(1, 0.03 * seeds)


@pytest.mark.slow
def test_the_true_ends_of_a_network_are_within_the_bound():
    """The 516-parameter network in float32 at the default tolerance, over 300 seeds."""
    exact, within = exact_eigenvalues(), []
    for seed in range(300):
        found = operator_spectrum(small_operator(), SpectrumConfig(trace_probes=0), generator(seed))
        for end, truth in ((found.low, exact[0]), (found.high, exact[-1])):
            within.append(abs(end.value - truth) <= end.bound + 3e-6 * exact[-1])
    assert np.mean(within) >= 0.97


@pytest.mark.slow
def test_the_trace_of_a_network_is_within_three_standard_errors():
    exact, config = exact_eigenvalues(), SpectrumConfig(steps=8, probes=1)
    inside = []
    for seed in range(300):
        found = operator_spectrum(small_operator(), config, generator(seed))
        inside.append(abs(found.trace.value - exact.sum()) <= 3 * found.trace.sem)
    assert np.mean(inside) >= 0.97


@pytest.mark.parametrize("seeds", SEEDS)
def test_a_positive_semidefinite_matrix_is_never_proved_negative(seeds):
    """λmin + bound < 0 is a proof; it must not be given where λmin is 0."""
    exact = np.r_[np.zeros(40), np.logspace(-6, 0, 40)]
    for dtype, rounding in ((torch.float32, 1e-6), (torch.float64, 1e-14)):
        matrix = rotated(exact, dtype=dtype)
        for seed in range(seeds):
            config = SpectrumConfig(steps=20 + seed % 60, probes=1, trace_probes=0)
            found = operator_spectrum(MatrixOperator(matrix), config, generator(seed))
            assert found.low.value + found.low.bound >= -rounding
