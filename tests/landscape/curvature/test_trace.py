"""Traces and their standard errors."""

import numpy as np
import pytest
import torch

from landscape.analyses.spectrum_saddle import released_trace
from landscape.config import SpectrumConfig
from landscape.curvature.dense import MatrixOperator
from landscape.curvature.lanczos import lanczos, lanczos_of_blocks
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.curvature.trace import deflated_trace, deflated_traces
from tests.landscape.references import exact_eigenvalues, generator, probe, rotated, small_operator


def test_the_trace_of_a_negative_matrix():
    """PyHessian's trace stopped at once when its mean was negative."""
    operator = MatrixOperator(rotated(-np.linspace(0.5, 3, 60)))
    assert len(released_trace(operator, torch.Generator().manual_seed(0))) > 1
    generator = torch.Generator().manual_seed(0)
    (krylov,) = lanczos(operator, probe(operator), 10)
    found = deflated_trace(operator, krylov, 16, generator)
    assert abs(found.value + 105) <= 4 * found.sem


def test_the_standard_error_of_the_trace_holds():
    """PyHessian's stop at 1e-3 leaves errors above a tenth."""
    exact = exact_eigenvalues().sum()
    theirs = [np.mean(released_trace(small_operator(), generator(seed))) for seed in range(10)]
    assert np.abs(np.array(theirs) / exact - 1).max() > 0.1
    for seed in range(10):
        found = operator_spectrum(small_operator(), SpectrumConfig(), generator(seed)).trace
        assert abs(found.value - exact) <= 4 * found.sem
        assert found.sem <= 0.02 * exact


@pytest.mark.parametrize("steps", [1, 10, 39])
def test_a_complement_of_few_dimensions_is_summed_up(steps):
    exact = np.linspace(-1, 2, 40)
    operator = MatrixOperator(rotated(exact))
    (krylov,) = lanczos(operator, probe(operator), steps)
    found = deflated_trace(operator, krylov, 40 - steps if steps < 39 else 2, generator())
    assert found.value == pytest.approx(exact.sum(), abs=1e-12)
    assert found.sem == 0


def test_a_small_block_beside_a_large_one_is_exact():
    small, large = np.linspace(1, 2, 12), np.linspace(-1, 3, 80)
    matrix = torch.block_diag(rotated(small), rotated(large))
    operator = MatrixOperator(matrix)
    runs = lanczos_of_blocks(operator, probe(operator), (12, 80), 5)
    first, second = deflated_traces(operator, [own[0] for own in runs], 8, generator())
    assert (first.value, first.sem) == (pytest.approx(small.sum(), abs=1e-12), 0)
    assert 0 < abs(second.value - large.sum()) <= 4 * second.sem
