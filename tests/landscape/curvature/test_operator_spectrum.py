"""Both ends, verdict and convergence of an operator's spectrum."""

import numpy as np
import pytest
import torch

from landscape.analyses.spectrum_saddle import released_lanczos
from landscape.config import SpectrumConfig
from landscape.curvature.dense import MatrixOperator
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.curvature.verdict import verdict
from tests.landscape.references import exact_eigenvalues, generator, probe, rotated, small_operator


def test_a_value_is_the_rayleigh_quotient_of_the_vector_whose_residual_is_given():
    """PyHessian returns an eigenvalue one iteration older than its vector."""
    exact = np.r_[5.0, 4.9, np.linspace(0, 1, 40)]
    operator = MatrixOperator(rotated(exact))
    found = operator_spectrum(
        operator, SpectrumConfig(steps=6, probes=1), torch.Generator().manual_seed(0)
    )
    assert np.abs(exact - found.high.value).min() <= found.high.residual
    assert found.high.value <= 5.0 + 1e-12


@pytest.mark.parametrize("scale", [1e-5, 1e-6])
def test_a_ratio_of_a_two_hundredth_stays_one_at_a_small_loss(scale):
    """An MLP with λmin / λmax = -0.0055, float32; PyHessian's recurrence makes a saddle of it."""
    exact = exact_eigenvalues()
    ratio = exact[0] / exact[-1]
    operator = small_operator(scale=scale)
    theirs = released_lanczos(operator, probe(operator)[:, 0])
    assert theirs.values[0] / theirs.values[-1] < -0.1
    ours = operator_spectrum(operator, SpectrumConfig(), generator())
    assert ours.low.value / ours.high.value == pytest.approx(ratio, abs=1e-3)
    assert ours.high.value / scale == pytest.approx(exact[-1], rel=1e-5)
    ends = ours.low.value, ours.high.value, ours.lowest, ours.highest
    assert verdict(*ends, ours.noise.rounding) == "minimum"


def test_two_steps_are_not_called_converged():
    """hessian-eigenthings returns them as an answer."""
    operator = MatrixOperator(rotated(np.linspace(-1, 2, 60)))
    config = SpectrumConfig(steps=2, probes=1)
    found = operator_spectrum(operator, config, torch.Generator().manual_seed(0))
    assert not found.converged
    assert found.high.bound > 0.1
