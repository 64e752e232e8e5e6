"""The shipped densities: what their mean and their band over probes contain."""

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from landscape.curvature.dense import MatrixOperator
from landscape.results.density import cumulative_density, share_bounds, smoothed_density
from tests.landscape.references import SPECTRA, Diagonal, quadrature, rotated, run


def quadratures(exact, probes, steps=30, seeds=100):
    operator = MatrixOperator(rotated(exact))
    for seed in range(seeds):
        yield quadrature(operator, steps, probes, seed)


def test_quadrature_reproduces_the_spectrum():
    exact = SPECTRA["indefinite Wishart"]
    values, weights = quadrature(MatrixOperator(rotated(exact)), steps=40, probes=20)
    distance = wasserstein_distance(exact, values.ravel(), None, weights.ravel())
    assert distance <= 0.02 * np.ptp(exact)


@pytest.mark.parametrize("name", ["decaying", "indefinite Wishart", "step", "outliers"])
def test_density_is_near_the_exact_spectrum(name):
    exact = SPECTRA[name]
    found, _ = run(rotated(exact), steps=30, probes=10)
    values = np.concatenate([r.values.numpy() for r in found.quadrature])
    weights = np.concatenate([r.weights.numpy() for r in found.quadrature])
    assert wasserstein_distance(exact, values, None, weights) <= 0.02 * np.ptp(exact)


def test_bands_are_the_smallest_and_largest_over_probes():
    values, weights = next(quadratures(SPECTRA["linear"], probes=4, seeds=1))
    smooth = smoothed_density(values, weights, points=100)
    grid = smooth.grid[::20]
    cumulative = cumulative_density(values, weights, grid)
    alone = [
        cumulative_density(v[None], w[None], grid)[0] for v, w in zip(values, weights, strict=True)
    ]
    kernels = np.exp(-0.5 * ((smooth.grid[:, None, None] - values) / smooth.sigma) ** 2)
    curves = (kernels * weights).sum(axis=2) / (smooth.sigma * (2 * np.pi) ** 0.5)
    for found, expected in zip(
        (smooth.mean, smooth.low, smooth.high),
        (curves.mean(axis=1), curves.min(axis=1), curves.max(axis=1)),
        strict=True,
    ):
        assert np.allclose(found, expected, rtol=1e-10)
    for found, reduce in zip(cumulative, (np.mean, np.min, np.max), strict=True):
        assert np.allclose(found, reduce(alone, axis=0))


THRESHOLDS = [0.1, 0.25, 0.5, 0.75, 0.9]


@pytest.mark.parametrize("name", ["indefinite Wishart", "linear"])
def test_the_cumulative_band_of_twelve_probes_covers_the_exact_share(name):
    """Smallest to largest of K probes misses the truth with 2 · 2⁻ᴷ where they fall evenly."""
    exact = SPECTRA[name]
    thresholds = np.quantile(exact, THRESHOLDS)
    truth = (exact <= thresholds[:, None]).mean(axis=1)
    covered = []
    for values, weights in quadratures(exact, probes=12):
        _, low, high = cumulative_density(values, weights, thresholds)
        covered.append((low <= truth) & (truth <= high))
    assert np.mean(covered, axis=0).min() >= 0.95


def test_the_cumulative_band_of_two_probes_covers_it_in_half_of_the_seeds():
    """A spread and no interval of confidence; with two probes it says little."""
    exact = SPECTRA["indefinite Wishart"]
    thresholds = np.quantile(exact, THRESHOLDS)
    truth = (exact <= thresholds[:, None]).mean(axis=1)
    covered = []
    for values, weights in quadratures(exact, probes=2, seeds=200):
        _, low, high = cumulative_density(values, weights, thresholds)
        covered.append((low <= truth) & (truth <= high))
    assert np.mean(covered) == pytest.approx(0.5, abs=0.1)


def test_three_standard_errors_over_probes_cover_the_exact_share():
    exact = SPECTRA["indefinite Wishart"]
    thresholds = np.quantile(exact, THRESHOLDS)
    truth = (exact <= thresholds[:, None]).mean(axis=1)
    covered = []
    for values, weights in quadratures(exact, probes=12):
        each = [
            cumulative_density(v[None], w[None], thresholds)[0]
            for v, w in zip(values, weights, strict=True)
        ]
        mean, _, _ = cumulative_density(values, weights, thresholds)
        sem = np.std(each, axis=0, ddof=1) / 12**0.5
        covered.append(np.abs(mean - truth) <= 3 * sem)
    assert np.mean(covered, axis=0).min() >= 0.95


@pytest.mark.parametrize("name", ["indefinite Wishart", "linear", "outliers"])
def test_the_smoothed_band_of_twelve_probes_covers_the_exact_density(name):
    """At full rank the nodes are the eigenvalues, and only the weights are random."""
    spectrum = np.sort(SPECTRA[name])
    exact = spectrum[:: len(spectrum) // 20][:20]
    covered = []
    for values, weights in quadratures(exact, probes=12, steps=20, seeds=40):
        found = smoothed_density(values, weights, points=200)
        offsets = (found.grid[:, None] - exact) / found.sigma
        truth = np.exp(-0.5 * offsets**2).mean(axis=1) / (found.sigma * (2 * np.pi) ** 0.5)
        near = np.abs(offsets).min(axis=1) < 1
        covered.append(((found.low <= truth) & (truth <= found.high))[near].mean())
    assert np.mean(covered) >= 0.95


@pytest.mark.parametrize("scale", [1.0, 1e-8, 1e8])
def test_every_probe_has_mass_one_and_ends_at_one(scale):
    for values, weights in quadratures(SPECTRA["outliers"] * scale, probes=3, seeds=3):
        found = smoothed_density(values, weights)
        assert np.trapezoid(found.mean, found.grid) == pytest.approx(1, abs=1e-3)
        shares = cumulative_density(values, weights, found.grid)
        for share in shares:
            assert share[0] == 0
            assert share[-1] == pytest.approx(1, abs=1e-10)
            assert (np.diff(share) >= 0).all()


def test_the_mean_over_probes_nears_the_spectrum_as_their_root():
    """Wasserstein distance of 32 probes against that of two."""
    exact = SPECTRA["linear"]
    distances = []
    for probes in (2, 32):
        found = [
            wasserstein_distance(exact, v.ravel(), None, w.ravel())
            for v, w in quadratures(exact, probes, steps=60, seeds=10)
        ]
        distances.append(np.mean(found))
    assert distances[1] <= 0.4 * distances[0]


def test_cumulative_density_steps_at_the_nodes():
    values = np.array([[-1.0, 0.0, 2.0], [-0.5, 1.0, np.nan]])
    weights = np.array([[0.25, 0.25, 0.5], [0.5, 0.5, np.nan]])
    mean, low, high = cumulative_density(values, weights, np.array([-2.0, -0.5, 0.0, 3.0]))
    assert mean.tolist() == [0.0, 0.375, 0.5, 1.0]
    assert low.tolist() == [0.0, 0.25, 0.5, 1.0]
    assert high.tolist() == [0.0, 0.5, 0.5, 1.0]


def test_the_mass_below_zero_does_not_depend_on_the_scale():
    """PyHessian's smoothing moves mass of small spectra to the negative axis."""
    values, weights = np.linspace(-0.2, 1, 8)[None], np.full((1, 8), 1 / 8)
    shares = []
    for scale in (1.0, 1e-4, 1e4):
        d = smoothed_density(values * scale, weights)
        negative = d.grid < 0
        shares.append(np.trapezoid(d.mean[negative], d.grid[negative]))
    assert shares == pytest.approx([0.25] * 3, abs=0.01)


def test_the_density_weighs_its_nodes():
    """One outlier in 200 is one node in twenty with a mass of 1/200; Landscaper counts nodes."""
    values, weights = quadrature(
        MatrixOperator(rotated(np.r_[10.0, np.linspace(-1, 1, 199)])), steps=20, probes=20
    )
    assert (values > 5).mean() == 1 / 20
    found = smoothed_density(values, weights)
    far = found.grid > 5
    assert np.trapezoid(found.mean[far], found.grid[far]) == pytest.approx(1 / 200, abs=0.002)
    below = cumulative_density(values, weights, np.array([5.0]))[0][0]
    assert 1 - below == pytest.approx(1 / 200, abs=0.002)


SEEDS = [20, pytest.param(300, marks=pytest.mark.slow)]
BANDS = ["indefinite Wishart", "linear", "outliers", "step", "zero", "multiplicity"]


@pytest.mark.parametrize("name", BANDS)
@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize(("probes", "steps"), [(1, 5), (2, 30)])
def test_the_bounds_of_the_share_hold_at_every_point(name, seeds, probes, steps):
    exact = np.sort(SPECTRA[name])
    span = np.ptp(exact) or 1.0
    grid = np.sort(np.r_[np.linspace(exact[0] - span, exact[-1] + span, 300), exact])
    rounding = 1e-12 * span
    truth = np.searchsorted(exact, grid, side="right") / len(exact)
    surely = np.searchsorted(exact, grid - 2 * rounding, side="right") / len(exact)
    broken = 0
    for values, weights in quadratures(exact, probes, steps, seeds):
        low, high = share_bounds(values, weights, grid, len(exact), rounding=rounding)
        assert (low <= high).all()
        broken += bool((low > truth).any() or (high < surely).any())
    print(f"{name}, {probes} probes: bounds broken in {broken} of {seeds} seeds")
    assert broken <= 0.01 * seeds


def test_the_bounds_are_narrow_where_the_matrix_is_large():
    """20,000 eigenvalues, one probe: 2 % at a third of λmax and beyond."""
    values = np.r_[np.random.default_rng(0).normal(0, 0.02, 19_990), np.linspace(0.4, 1, 10)]
    operator = Diagonal(torch.as_tensor(values))
    grid = np.array([-0.3, -0.01, 0.01, 0.3])
    truth = (values[:, None] <= grid).mean(axis=0)
    nodes, weights = quadrature(operator, 80, 1)
    low, high = share_bounds(nodes, weights, grid, len(values), rounding=1e-10)
    assert ((low <= truth) & (truth <= high)).all()
    assert (high - low).tolist() < [0.04, 0.2, 0.2, 0.04]


def test_at_full_rank_the_bounds_are_the_share():
    exact = np.sort(SPECTRA["linear"])
    values, weights = quadrature(MatrixOperator(rotated(exact)), len(exact), 1)
    between = (exact[1:] + exact[:-1]) / 2
    low, high = share_bounds(values, weights, between, len(exact), rounding=1e-9)
    assert np.allclose(low, np.arange(1, len(exact)) / len(exact))
    assert np.allclose(high, low)


def test_share_bounds_are_those_of_the_theorem():
    """Stieltjes' bounds of each start by loops, Chen's distance, and interlacing, by hand."""
    values = np.array([[-1.0, 0.0, 2.0], [-2.0, 1.0, np.nan]])
    weights = np.array([[0.2, 0.3, 0.5], [0.6, 0.4, np.nan]])
    size, rounding, weight_rounding, confidence = 1000, 0.1, 0.01, 0.9
    apart = np.sqrt(np.log(2 * size / (1 - confidence)) / (2 * (size + 2)))
    runs = [([-1.0, 0.0, 2.0], [0.2, 0.3, 0.5]), ([-2.0, 1.0], [0.6, 0.4])]
    points = np.array([-3.0, -2.05, -1.5, -1.05, -0.95, 0.0, 0.95, 1.05, 1.5, 2.05, 3.0])
    low, high = share_bounds(
        values,
        weights,
        points,
        size,
        rounding=rounding,
        weight_rounding=weight_rounding,
        confidence=confidence,
    )
    for k, x in enumerate(points):
        lower, upper, below, above = [], [], 0, 0
        for nodes, of in runs:
            sure = sum(node <= x - rounding for node in nodes)  # nodes surely up to x
            perhaps = sum(node <= x + rounding for node in nodes)
            lower.append(sum(of[: max(sure - 1, 0)]))
            upper.append(sum(of[: min(perhaps + 1, len(of))]))
            below = max(below, sure)
            above = max(above, len(nodes) - perhaps)
        least = max(np.mean(lower) - apart - weight_rounding, below / size)
        most = min(np.mean(upper) + apart + weight_rounding, 1 - above / size)
        assert low[k] == pytest.approx(least, abs=1e-12)
        assert high[k] == pytest.approx(most, abs=1e-12)
