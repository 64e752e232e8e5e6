"""An MLP of 516 parameters against its dense float64 Hessian, and against the other tools."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from cli.commands.crosscheck_peers import PEERS, run_peer
from landscape.config import SpectrumConfig
from landscape.curvature.error_bounds import HIDDEN
from landscape.curvature.lanczos import lanczos
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.curvature.sampling import random_probes
from tests.landscape.references import (
    exact_eigenvalues,
    generator,
    small_network,
    small_operator,
)

MODULES = dict(zip(PEERS, ("pyhessian", "curvlinops", "hessian_eigenthings"), strict=True))
ROUNDING = 3e-6  # what float32 does to an eigenvalue of these networks, as a share of λmax


def diagnosed(operator, steps, seed=0, **options):
    options = {"probes": 1, "trace_probes": 20, "tolerance": 0} | options
    return operator_spectrum(operator, SpectrumConfig(steps=steps, **options), generator(seed))


def test_the_network_has_516_parameters_and_a_little_negative_curvature():
    exact = exact_eigenvalues()
    assert len(exact) == 516
    assert exact[0] / exact[-1] == pytest.approx(-0.0055, abs=5e-4)


@pytest.mark.parametrize(
    ("dtype", "digits"), [(torch.float32, 1e-6), (torch.float64, 1e-10)], ids=["32", "64"]
)
def test_top_three_and_bottom_three_after_sixty_products(dtype, digits):
    exact = exact_eigenvalues()
    found = diagnosed(small_operator(dtype=dtype), 60)
    values = found.quadrature[0].values.numpy()
    assert np.abs(values[-3:] - exact[-3:]).max() <= digits * exact[-1]
    assert np.abs(values[:3] - exact[:3]).max() <= digits * exact[-1]
    assert abs(found.trace.value - exact.sum()) <= 3 * found.trace.sem
    assert found.trace.sem <= 0.005 * exact.sum()


def test_the_trace_of_the_whole_space_is_exact():
    exact = exact_eigenvalues()
    found = diagnosed(small_operator(dtype=torch.float64), 516)
    assert found.trace.value == pytest.approx(exact.sum(), rel=1e-8)
    many = diagnosed(small_operator(), 2, probes=40, trace_probes=0)
    norm, sem = many.frobenius
    assert abs(norm - (exact**2).sum() ** 0.5) <= 3 * sem


@pytest.mark.parametrize("epochs", [0, 60, 200])
@pytest.mark.parametrize("steps", [5, 10, 20, 60])
def test_float32_residuals_are_honest_against_float64(epochs, steps):
    """An eigenvalue of the exact matrix lies within what is stated, up to float32's rounding."""
    for seed in range(2):
        exact = exact_eigenvalues(epochs, seed)
        rounding = ROUNDING * exact[-1]
        found = diagnosed(small_operator(epochs, seed), steps, seed, trace_probes=0)
        for end in (found.low, found.high):
            nearest = np.abs(exact - end.value).min()
            assert nearest <= end.residual + rounding
            assert nearest <= end.bound + rounding
        for ritz in found.quadrature:
            distances = np.abs(exact - ritz.values.numpy()[:, None]).min(axis=1)
            assert (distances <= ritz.residuals.numpy() + rounding).all()


def test_the_values_stay_within_the_exact_spectrum():
    """λmin ≤ θ ≤ λmax, by the variational principle."""
    exact = exact_eigenvalues()
    for steps in (2, 5, 10, 30):
        found = diagnosed(small_operator(), steps, trace_probes=0)
        assert found.low.value >= exact[0] - ROUNDING * exact[-1]
        assert found.high.value <= exact[-1] * (1 + ROUNDING)


@pytest.mark.parametrize(
    ("epochs", "tolerance", "most"),
    [(0, 1e-3, 29), (60, 1e-3, 22), (60, 1e-5, 43)],
)
def test_products_at_a_fixed_accuracy(epochs, tolerance, most):
    """Ends within what may hide at the most, and as a rule within the tolerance."""
    exact, products, errors = exact_eigenvalues(epochs), [], []
    for seed in range(5):
        operator = small_operator(epochs)
        found = diagnosed(operator, 200, seed, tolerance=tolerance, trace_probes=0)
        assert found.converged
        assert found.lowest <= exact[0]
        assert found.highest >= exact[-1]
        apart = max(found.low.value - exact[0], exact[-1] - found.high.value)
        errors.append(abs(apart) / abs(exact).max())
        products.append(operator.products)
    assert max(errors) <= HIDDEN
    assert sorted(errors)[3] <= tolerance + ROUNDING, errors
    assert max(products) <= most, products


@pytest.mark.slow
@pytest.mark.parametrize("peer", PEERS)
def test_at_equal_products_both_ends_are_no_worse_than_a_peers(peer):
    pytest.importorskip(MODULES[peer])
    exact = exact_eigenvalues()
    model, data = small_network()
    theirs = run_peer(peer, copy.deepcopy(model).float(), [(data.inputs.float(), data.labels)])
    assert theirs.products > 40, theirs.note
    operator = small_operator()
    ours = diagnosed(operator, theirs.products - 22)
    assert operator.products == theirs.products
    allowed = 1e-6 * exact[-1]
    assert abs(ours.high.value - exact[-1]) <= abs(theirs.lambda_max - exact[-1]) + allowed
    assert abs(ours.low.value - exact[0]) <= abs(theirs.lambda_min - exact[0]) + allowed
    assert abs(ours.trace.value - exact.sum()) <= 3 * ours.trace.sem
    if theirs.trace_sem == theirs.trace_sem:
        assert ours.trace.sem <= 0.1 * theirs.trace_sem


@pytest.mark.slow
def test_pyhessian_needs_as_many_products_for_a_hundredth_of_the_digits():
    pyhessian = pytest.importorskip("pyhessian")
    exact = exact_eigenvalues()[-3:]
    model, data = small_network()
    batches, single = [(data.inputs.float(), data.labels)], copy.deepcopy(model).float()
    torch.manual_seed(0)
    tool = pyhessian.hessian(single, nn.CrossEntropyLoss(), dataloader=batches, cuda=False)
    made, inner = [0], tool.dataloader_hv_product

    def counted(v):
        made[0] += 1
        return inner(v)

    tool.dataloader_hv_product = counted
    theirs = np.abs(np.sort(tool.eigenvalues(top_n=3)[0]) - exact).max()
    values = ours_after(made[0])
    assert np.abs(values[-3:] - exact).max() <= theirs / 100


@pytest.mark.slow
@pytest.mark.parametrize("steps", [60, 80])
def test_eigenthings_shows_the_top_value_three_times_above_fifty_steps(steps):
    eigenthings = pytest.importorskip("hessian_eigenthings")
    exact = exact_eigenvalues()[-3:]
    model, data = small_network()
    batches = [(data.inputs.float(), data.labels)]
    loss = eigenthings.supervised_loss(nn.CrossEntropyLoss())
    tool = eigenthings.HessianOperator(copy.deepcopy(model).float(), batches, loss)
    theirs = eigenthings.lanczos(tool, k=3, max_iter=steps, which="LA", seed=0).eigenvalues
    assert float(theirs.min()) == pytest.approx(exact[-1], rel=1e-5)
    assert np.abs(ours_after(steps)[-3:] - exact).max() <= 1e-6 * exact[-1]


@pytest.mark.slow
@pytest.mark.parametrize("tolerance", [1e-2, 1e-3])
def test_six_extreme_values_at_the_products_arpack_takes(tolerance):
    curvlinops = pytest.importorskip("curvlinops")
    from scipy.sparse.linalg import LinearOperator, eigsh

    exact = exact_eigenvalues()[[0, 1, 2, -3, -2, -1]]
    model, data = small_network()
    single, made = copy.deepcopy(model).float(), [0]
    inner = curvlinops.HessianLinearOperator(
        single,
        nn.CrossEntropyLoss(),
        list(single.parameters()),
        [(data.inputs.float(), data.labels)],
    ).to_scipy()

    def product(v):
        made[0] += 1
        return inner @ v

    operator = LinearOperator(inner.shape, matvec=product, dtype=inner.dtype)
    start = np.random.RandomState(0).randn(516).astype(np.float32)
    theirs = np.sort(eigsh(operator, 6, which="BE", tol=tolerance, v0=start)[0])
    ours = ours_after(made[0])[[0, 1, 2, -3, -2, -1]]
    error, other = np.abs(ours - exact).max(), np.abs(theirs - exact).max()
    assert error <= other + 1e-6 * exact[-1]


def ours_after(products):
    operator = small_operator()
    (found,) = lanczos(operator, random_probes(operator, 1, generator()), products)
    return found.ritz().values.numpy()
