"""Traces and their standard errors."""

import numpy as np
import torch

from landscape.analyses.spectrum_saddle import released_trace
from landscape.config import SpectrumConfig
from landscape.curvature.dense import MatrixOperator
from landscape.curvature.lanczos import lanczos
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.curvature.trace import deflated_trace
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
