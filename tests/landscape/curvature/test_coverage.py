"""How often what is stated contains the truth, over many seeds."""

import numpy as np
import pytest
import torch

from landscape.analyses.spectrum import padded_ritz
from landscape.config import SpectrumConfig
from landscape.curvature.dense import MatrixOperator
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.results.density import ritz_rounding
from tests.landscape.references import (
    SPECTRA,
    Diagonal,
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
    """Distance of each end to the nearest eigenvalue, and its residual."""
    config = SpectrumConfig(steps=steps, probes=1 + seed % 2, tolerance=tolerance, trace_probes=0)
    found = operator_spectrum(MatrixOperator(matrix), config, generator(seed))
    for end in (found.low, found.high):
        yield np.abs(exact - end.value).min(), end.residual


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seeds", SEEDS)
def test_the_residual_always_contains_an_eigenvalue(name, seeds):
    exact = CASES[name]
    matrix, rounding = rotated(exact), 1e-12 * np.abs(exact).max()
    for seed in range(seeds):
        for steps, tolerance in STAGES:
            for nearest, residual in ends(matrix, exact, seed, steps, tolerance):
                assert nearest <= residual + rounding, (seed, steps, tolerance)


RESOLVED = np.array([0.2843, 0.3382, 1.0087, 1.656, 1.794, 4.776, 8.015, 8.421, 10.819, 16.466])
CLUSTER = np.r_[np.linspace(0, 1, 200), 2 + 1e-6 * np.arange(20) / 19]
WHOLE = CASES | {
    "neighbours that are not the next": RESOLVED,
    "cluster": CLUSTER,
    "one negative": np.r_[-1.0, np.zeros(1998), 1.0],
    "semidefinite": np.r_[np.zeros(10), np.geomspace(1e-4, 1, 30)],
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("seeds", SEEDS)
def test_both_ends_are_inside_their_brackets(name, seeds):
    """The inner values always, the outer ones, both together, in 99 % of seeds."""
    exact = np.sort(WHOLE[name])
    operator = Diagonal(torch.as_tensor(exact))
    rounding, outside = 1e-13 * np.abs(exact).max(), 0
    for seed in range(seeds):
        steps = (2, 6, 20, 100)[seed % 4]
        config = SpectrumConfig(steps=steps, probes=1 + seed % 2, trace_probes=0)
        found = operator_spectrum(operator, config, generator(seed))
        floor = found.noise.rounding + rounding
        assert found.low.value + floor >= exact[0]
        assert found.high.value - floor <= exact[-1]
        outside += found.lowest > exact[0] + rounding or found.highest < exact[-1] - rounding
    print(f"{name}: an end outside its bracket in {outside} of {seeds} seeds")
    assert outside <= max(1, 0.02 * seeds)


@pytest.mark.parametrize("name", WHOLE)
def test_proved_negative_directions_are_there(name):
    exact = WHOLE[name]
    operator = Diagonal(torch.as_tensor(exact))
    for seed in range(12):
        config = SpectrumConfig(steps=4 + 8 * (seed % 3), probes=2, trace_probes=0)
        found = operator_spectrum(operator, config, generator(seed))
        values = padded_ritz([found.quadrature])[0][0]
        error = max(found.noise.rounding, found.noise.repeatability)
        rounding = ritz_rounding(values, found.orthogonality_loss, error)
        proved = (values < -rounding).sum(axis=1).max()
        assert proved <= (exact < 0).sum()
        if name == "one negative" and len(found.quadrature[0].values) > 10:
            assert proved == 1


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
