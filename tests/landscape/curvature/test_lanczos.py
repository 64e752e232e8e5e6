"""Lanczos on matrices whose spectrum is known."""

import math

import numpy as np
import pytest
import torch

from landscape.config import SpectrumConfig
from landscape.curvature.dense import MatrixOperator
from landscape.curvature.lanczos import lanczos
from landscape.curvature.norms import norm
from landscape.curvature.sampling import random_probes
from landscape.curvature.trace import deflated_trace, first_step_trace, frobenius_norm
from tests.landscape.references import (
    SPECTRA,
    Diagonal,
    exact_eigenvalues,
    probe,
    rotated,
    run,
    small_operator,
)


@pytest.mark.parametrize("name", SPECTRA)
def test_both_ends_of_prescribed_spectra(name):
    exact = np.sort(SPECTRA[name])
    found, _ = run(rotated(exact), steps=80)
    scale = max(abs(exact).max(), 1e-300)
    assert abs(found.low.value - exact[0]) <= 1e-6 * scale
    assert abs(found.high.value - exact[-1]) <= 1e-6 * scale
    for ritz in found.quadrature:
        assert float(ritz.weights.sum()) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("steps", [3, 10, 60])
def test_residuals_are_honest(name, steps):
    exact = SPECTRA[name]
    found, _ = run(rotated(exact), steps=steps)
    rounding = 1e-12 * abs(exact).max()
    for end in (found.low, found.high):
        assert abs(exact - end.value).min() <= end.residual + rounding
        noise = max(found.noise.rounding, found.noise.repeatability)
        assert end.bound <= end.residual + noise
        assert abs(exact - end.value).min() <= end.bound + rounding
    for ritz in found.quadrature:
        distances = np.abs(exact[None, :] - ritz.values.numpy()[:, None]).min(axis=1)
        assert (distances <= ritz.residuals.numpy() + rounding).all()


def test_bounds_hold_on_random_spectra_at_every_stage():
    random = np.random.RandomState(3)
    for seed in range(12):
        exact = np.r_[random.exponential(5, 6) * random.choice([1, 1, -0.3]), random.randn(80) / 20]
        matrix = rotated(exact, seed)
        for steps in (3, 5, 8, 12, 20, 30):
            found, _ = run(matrix, steps=steps, seed=seed)
            for end in (found.low, found.high):
                assert abs(exact - end.value).min() <= end.bound + 1e-12 * abs(exact).max()


@pytest.mark.parametrize("name", ["outliers", "two clusters", "step", "multiplicity"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_ghosts_and_an_orthonormal_basis(name, dtype):
    matrix = rotated(SPECTRA[name], dtype=dtype)
    operator = MatrixOperator(matrix)
    starts = random_probes(operator, 1, torch.Generator().manual_seed(0))
    (decomposition,) = lanczos(operator, starts, 200)
    gram = (decomposition.basis @ decomposition.basis.T).double()
    assert (gram - torch.eye(len(gram))).abs().max() <= (1e-5 if dtype == torch.float32 else 1e-12)
    values = decomposition.ritz()
    near_top = (values.values > values.values[-1] * (1 - 1e-3)) & (values.weights > 1e-12)
    top = SPECTRA[name].max()
    assert 1 <= int(near_top.sum()) <= int((SPECTRA[name] == top).sum())


def test_the_recurrence_holds():
    matrix = rotated(SPECTRA["linear"])
    operator = MatrixOperator(matrix)
    (d,) = lanczos(operator, random_probes(operator, 1, torch.Generator().manual_seed(0)), 12)
    remainder = matrix @ d.basis.T - d.basis.T @ d.projected
    assert remainder[:, :-1].abs().max() <= 1e-13
    assert torch.allclose(remainder[:, -1], d.coupling * d.following, atol=1e-13)
    coefficients = torch.randn(12, dtype=torch.float64)
    assert torch.allclose(d.product_of(coefficients), matrix @ d.basis.T @ coefficients)


@pytest.mark.parametrize("exponent", [0, -10, -20, -27, 20])
def test_results_scale_with_the_matrix(exponent):
    scale = 2.0**exponent  # exact, so that rounding is the same at every scale
    matrix = rotated(SPECTRA["outliers"])
    base, _ = run(matrix)
    scaled, _ = run(matrix * scale)
    assert scaled.low.value / scale == pytest.approx(base.low.value, rel=1e-9)
    assert scaled.high.value / scale == pytest.approx(base.high.value, rel=1e-9)
    assert scaled.trace.value / scale == pytest.approx(base.trace.value, rel=1e-9)
    assert scaled.converged == base.converged


def test_probes_in_lockstep_equal_probes_alone():
    operator = MatrixOperator(rotated(SPECTRA["indefinite Wishart"]))
    starts = random_probes(operator, 3, torch.Generator().manual_seed(3))
    together = lanczos(operator, starts, 15)
    for k, one in enumerate(together):
        (alone,) = lanczos(operator, starts[:, k : k + 1], 15)
        assert torch.allclose(one.projected, alone.projected, rtol=1e-10, atol=1e-13)


def test_a_start_in_an_invariant_subspace_ends_the_run_exactly():
    operator = MatrixOperator(torch.diag(torch.tensor([3.0, 1.0, -2.0, 7.0], dtype=torch.float64)))
    starts = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]], dtype=torch.float64).T
    two, one = lanczos(operator, starts, 4)
    assert torch.allclose(two.ritz().values, torch.tensor([1.0, 3.0], dtype=torch.float64))
    assert one.projected.tolist() == [[7.0]]
    assert float(two.ritz().residuals.max()) == float(one.ritz().residuals.max()) == 0


@pytest.mark.parametrize("name", ["outliers", "decaying", "harmonic", "indefinite Wishart"])
def test_trace_is_within_three_standard_errors(name):
    exact = SPECTRA[name]
    matrix = rotated(exact)
    inside = 0
    for seed in range(300):
        operator = MatrixOperator(matrix)
        generator = torch.Generator().manual_seed(seed)
        (krylov,) = lanczos(operator, random_probes(operator, 1, generator), 16)
        found = deflated_trace(operator, krylov, SpectrumConfig().trace_probes, generator)
        inside += abs(found.value - exact.sum()) <= 3 * found.sem
    assert inside >= 0.97 * 300


def test_trace_is_exact_on_the_whole_space():
    operator = MatrixOperator(rotated(np.linspace(-1, 2, 10)))
    generator = torch.Generator().manual_seed(0)
    (krylov,) = lanczos(operator, random_probes(operator, 1, generator), 10)
    found = deflated_trace(operator, krylov, 2, generator)
    assert (found.value, found.sem) == (pytest.approx(5.0, rel=1e-12), 0.0)
    with pytest.raises(ValueError, match="at least 2"):
        deflated_trace(operator, krylov, 1, generator)


@pytest.mark.parametrize("name", ["outliers", "indefinite Wishart", "linear", "multiplicity"])
@pytest.mark.parametrize("probes", [1, 2])
def test_thick_restart_finds_the_same_ends(name, probes):
    exact = np.sort(SPECTRA[name])
    operator = MatrixOperator(rotated(exact))
    starts = random_probes(operator, probes, torch.Generator().manual_seed(2))
    runs = lanczos(operator, starts, 200, capacity=16)
    scale = abs(exact).max()
    for run_ in runs:
        assert run_.steps <= 16
        gram = run_.basis @ run_.basis.T
        assert (gram - torch.eye(run_.steps)).abs().max() <= 1e-12
        remainder = operator.matmat(run_.basis.T) - run_.basis.T @ run_.projected
        assert remainder[:, :-1].abs().max() <= 1e-11 * scale
        ritz = run_.ritz()
        assert float(ritz.values[0]) == pytest.approx(exact[0], abs=1e-6 * scale)
        assert float(ritz.values[-1]) == pytest.approx(exact[-1], abs=1e-6 * scale)
        assert float(run_.quadrature.weights.sum()) == pytest.approx(1, abs=1e-12)


def test_restart_of_a_run_that_has_ended_keeps_it():
    operator = MatrixOperator(
        rotated(np.r_[np.full(20, 1.0), np.full(20, 2.0), np.linspace(3, 9, 9)])
    )
    starts = random_probes(operator, 1, torch.Generator().manual_seed(0)).repeat(1, 2)
    starts[:, 1] = operator._matrix @ starts[:, 1]
    vectors = torch.linalg.eigh(operator._matrix).eigenvectors
    starts[:, 1] = vectors[:, 0] + vectors[:, -1]
    whole, two = lanczos(operator, starts, 60, capacity=12)
    assert torch.allclose(two.ritz().values, torch.tensor([1.0, 9.0], dtype=torch.float64))
    assert float(whole.ritz().values[-1]) == pytest.approx(9, abs=1e-9)


def test_the_run_stops_when_both_ends_are_known():
    matrix = rotated(SPECTRA["outliers"])
    found, operator = run(matrix, steps=200, probes=1, tolerance=1e-3)
    whole, _ = run(matrix, steps=200, probes=1)
    assert operator.products <= 8 + 2 + 20  # steps, certificate, trace
    for a, b in ((found.low, whole.low), (found.high, whole.high)):
        assert abs(a.value - b.value) <= a.bound + b.bound
        assert a.bound <= 1e-3 * 100
    assert found.converged


STEPS = {"indefinite Wishart": 49, "linear": 29, "harmonic": 25, "multiplicity": 29, "decaying": 15}


@pytest.mark.parametrize("name", STEPS)
def test_steps_to_a_bound_of_a_thousandth(name):
    """Both ends right, and no step more than measured on these five starts."""
    exact, taken = SPECTRA[name], []
    for seed in range(5):
        found, _ = run(rotated(exact), steps=200, probes=1, seed=seed, tolerance=1e-3)
        allowed = 1e-3 * abs(exact).max()
        assert found.low.value - exact.min() <= allowed
        assert exact.max() - found.high.value <= allowed
        taken.append(len(found.quadrature[0].values))
    assert max(taken) <= STEPS[name], taken


def test_one_step_certifies_nothing():
    found, _ = run(rotated(SPECTRA["linear"]), steps=1, probes=1)
    assert not found.converged
    assert found.low.bound >= found.low.residual > 0.1


def test_no_room_means_the_smallest_basis_not_the_largest():
    operator = MatrixOperator(rotated(SPECTRA["linear"]))
    starts = random_probes(operator, 1, torch.Generator().manual_seed(2))
    assert lanczos(operator, starts, 40, capacity=0)[0].steps <= 8


def test_a_missed_end_is_reported_as_not_converged():
    found, _ = run(rotated(SPECTRA["linear"]), steps=4, probes=1, tolerance=1e-3)
    assert not found.converged


def test_trace_from_the_first_steps_alone():
    exact = SPECTRA["indefinite Wishart"]
    operator = MatrixOperator(rotated(exact))
    runs = lanczos(operator, random_probes(operator, 400, torch.Generator().manual_seed(0)), 1)
    for steps, given in ((1, runs), (6, lanczos(operator, torch.eye(80).double()[:, :1], 6))):
        found = first_step_trace(given, 80)
        direct = [80 * float(run.projected[0, 0]) for run in given]
        assert found.samples.tolist() == pytest.approx(direct, rel=1e-9), steps
    found = first_step_trace(runs, 80)
    assert abs(found.value - exact.sum()) <= 3 * found.sem
    assert math.isnan(first_step_trace(runs[:1], 80).sem)
    assert operator.products == 400 + 6


def test_frobenius_norm_of_runs_of_one_step():
    exact = SPECTRA["indefinite Wishart"]
    operator = MatrixOperator(rotated(exact))
    starts = random_probes(operator, 400, torch.Generator().manual_seed(0))
    found, error = frobenius_norm([run.quadrature for run in lanczos(operator, starts, 1)], 80)
    assert abs(found - (exact**2).sum() ** 0.5) <= 3 * error
    longer = frobenius_norm([run.quadrature for run in lanczos(operator, starts, 3)], 80)
    assert (found, error) == pytest.approx(longer, rel=1e-9)


def test_frobenius_norm_of_the_whole_space_is_exact():
    exact = np.array([-3.0, -1.0, 0.5, 2.0, 7.0])
    found, _ = run(rotated(exact), steps=5, probes=1)
    assert found.frobenius == (pytest.approx(np.sqrt((exact**2).sum()), rel=1e-10), 0.0)


def test_frobenius_norm_from_the_first_step():
    exact = SPECTRA["indefinite Wishart"]
    norm, inside = np.sqrt((exact**2).sum()), 0
    for seed in range(100):
        found, _ = run(rotated(exact), steps=4, probes=12, seed=seed)
        value, sem = found.frobenius
        inside += abs(value - norm) <= 3 * sem
    assert inside >= 95
    assert np.isnan(run(rotated(exact), steps=4, probes=1)[0].frobenius[1])


@pytest.mark.parametrize(("dtype", "digits"), [(torch.float32, 4e-6), (torch.float64, 1e-14)])
def test_millions_of_parameters(dtype, digits):
    """Norms of long vectors: squares added one by one would leave the basis 4e-3 off in float32."""
    values = torch.linspace(-1, 3, 6_000_000, dtype=torch.float64).to(dtype)
    operator = Diagonal(values)
    (run,) = lanczos(operator, random_probes(operator, 1, torch.Generator().manual_seed(0)), 4)
    basis = run.basis.double()
    gram = torch.stack([(row * basis).sum(dim=1) for row in basis])
    assert (gram - torch.eye(4)).abs().max() < digits
    # moments of the uniform spectrum on [-1, 3]: mean 1, variance 4/3
    assert run.projected[0, 0] == pytest.approx(1, abs=1e-3)
    assert run.projected[0, 1] == pytest.approx((4 / 3) ** 0.5, abs=1e-3)
    for j in range(4):
        unit = torch.eye(4, dtype=torch.float64)[j]
        exact = values.double() * basis[j]
        assert norm(run.product_of(unit).double() - exact) < 10 * digits


def test_norms_of_long_vectors():
    values = torch.full((10_000_000,), 1e-3, dtype=torch.float32)
    assert float(norm(values)) == pytest.approx(float(values[0]) * 10**3.5, rel=1e-12)
    assert torch.allclose(norm(torch.ones(4, 2), dim=0), torch.full((2,), 2.0).double())


@pytest.mark.parametrize("scale", [1e-20, 1e-13, 1.0, 1e6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_invariant_subspace_ends_the_run_at_any_scale(scale, dtype):
    """Rank three takes four steps; hessian-eigenthings stops at an absolute β of 1e-12."""
    matrix = rotated(np.r_[3.0, 2.0, -1.0, np.zeros(57)])
    operator = MatrixOperator((matrix * scale).to(dtype))
    (run,) = lanczos(operator, probe(operator), 20)
    assert run.steps == 4
    values = run.ritz().values / scale
    assert values.numpy() == pytest.approx([-1, 0, 2, 3], abs=1e-6)
    assert float(run.ritz().residuals.max()) == 0


def test_the_basis_is_orthonormal_after_120_steps():
    """hessian-eigenthings does not orthogonalise above fifty."""
    operator = small_operator()
    (run,) = lanczos(operator, probe(operator), 120)
    gram = (run.basis @ run.basis.T).double()
    assert (gram - torch.eye(120)).abs().max() <= 1e-5
    top = exact_eigenvalues()[-3:]
    assert run.ritz().values[-3:].numpy() == pytest.approx(top, rel=1e-5)


def test_the_projection_is_in_float64_whatever_the_operator():
    """hessian-eigenthings projects in the operator's precision, here float32."""
    operator = MatrixOperator(rotated(SPECTRA["outliers"], dtype=torch.float32))
    (run,) = lanczos(operator, probe(operator), 20)
    assert run.projected.dtype == torch.float64
    assert (run.projected.diag() != run.projected.diag().float()).all()
    exact = np.linalg.eigvalsh(run.projected.numpy())
    assert run.ritz().values.numpy() == pytest.approx(exact, abs=1e-12)


def test_an_outlier_has_one_ritz_value():
    """curvlinops' quadrature shows many copies of it."""
    exact = np.r_[100, 50, 20, 10, 5, -3, 0.05 * np.random.RandomState(0).randn(1994)]
    operator = MatrixOperator(torch.diag(torch.as_tensor(exact, dtype=torch.float32)))
    (run,) = lanczos(operator, probe(operator), 200)
    values = run.ritz().values.numpy()
    for outlier in exact[:6]:
        assert (np.abs(values - outlier) < 1e-2 * abs(outlier)).sum() == 1


def test_quadrature_weights_are_one_real_number_a_node_and_sum_to_one():
    """Landscaper squares the whole matrix of eigenvectors: twenty complex rows."""
    operator = MatrixOperator(rotated(np.linspace(0, 1, 50)))
    (run,) = lanczos(operator, probe(operator), 20)
    weights = run.ritz().weights
    assert weights.shape == (20,)
    assert weights.dtype == torch.float64
    assert weights.min() >= 0
    assert float(weights.sum()) == pytest.approx(1, abs=1e-12)
