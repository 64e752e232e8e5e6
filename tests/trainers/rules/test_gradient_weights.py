"""Solvers on a Gram matrix against grids, general optimisers, duality and vectors."""

import numpy as np
import pytest
from scipy.optimize import minimize

from trainers.rules.gradient_weights import (
    cagrad_direction_weights,
    cagrad_weights,
    epo_weights,
    min_norm_weights,
    pcgrad_weights,
)

SPANS = (0, 4)  # of the gradients' norms, in decades


def gradients(seed, classes, dimension, decades=0):
    """(K, D) with norms from 1 to 10^-decades, in random order."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((classes, dimension))
    lengths = np.logspace(0, -decades, classes)[random.permutation(classes)]
    return rows * (lengths / np.linalg.norm(rows, axis=1))[:, None]


def simplex_grid(steps=100):
    i, j = np.meshgrid(np.arange(steps + 1), np.arange(steps + 1))
    points = np.stack([i, j, steps - i - j], axis=-1).reshape(-1, 3)
    return points[points[:, 2] >= 0] / steps


def grid_minimum(objective, norms):
    """Minimise a convex function of three weights on grids that close in on the best point.

    The second chart, w ∝ y / norms, resolves minimisers that hug the vertex of a short gradient.
    """
    values = []
    for scale in (np.ones(3), 1 / norms):
        centre, radius, best = np.ones(3) / 3, 1.0, np.inf
        for _ in range(20):
            points = np.vstack([centre, centre + radius * (simplex_grid(40) - centre)])
            spread = centre + radius * (np.ones(3) / 3 - simplex_grid(40))
            points = np.vstack([points, spread[(spread >= 0).all(axis=1)]])
            weights = points * scale / (points @ scale)[:, None]
            each = objective(weights)
            best, centre, radius = each.min(), points[each.argmin()], radius * 0.5
        values.append(best)
    return min(values)


def assert_on_simplex(weights):
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1, abs=1e-12)


def squared_norm(gram):
    return lambda w: ((w @ gram) * w).sum(axis=-1)


def cagrad_objective(gram, c, average=None):
    average = np.full(len(gram), 1 / len(gram)) if average is None else average
    radius = c * np.sqrt(gram.mean())
    return lambda w: w @ gram @ average + radius * np.sqrt(np.maximum(squared_norm(gram)(w), 0))


@pytest.mark.parametrize("decades", SPANS)
@pytest.mark.parametrize("seed", range(4))
def test_min_norm_is_the_best_of_a_grid(seed, decades):
    rows = gradients(seed, 3, 5, decades)
    gram = rows @ rows.T
    weights = min_norm_weights(gram)
    assert_on_simplex(weights)
    best = grid_minimum(squared_norm(gram), np.linalg.norm(rows, axis=1))
    assert squared_norm(gram)(weights) == pytest.approx(best, rel=1e-8)


def test_min_norm_equals_a_general_optimisers():
    rows = gradients(0, 10, 50)
    gram = rows @ rows.T
    found = minimize(
        squared_norm(gram),
        np.full(10, 0.1),
        jac=lambda w: 2 * gram @ w,
        bounds=[(0, 1)] * 10,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    assert found.success
    np.testing.assert_allclose(min_norm_weights(gram), found.x, atol=1e-6)


@pytest.mark.parametrize("decades", SPANS)
@pytest.mark.parametrize(("classes", "dimension"), [(10, 50), (60, 20), (100, 300)])
@pytest.mark.parametrize("seed", range(3))
def test_min_norm_conflicts_with_no_class(seed, classes, dimension, decades):
    rows = gradients(seed, classes, dimension, decades)
    weights = min_norm_weights(rows @ rows.T)
    assert_on_simplex(weights)
    direction = weights @ rows
    assert (rows @ direction).min() >= direction @ direction * (1 - 1e-6) - 1e-12
    # 60 directions in 20 dimensions surround the origin; fewer than the dimensions cannot.
    assert (np.linalg.norm(direction) < 1e-9) == (classes > dimension)


def test_min_norm_resolves_nearly_opposite_short_gradients():
    """g_1 = 1e-6 (cos, sin) and g_2 its mirror image: d = 1e-6 (0, sin), between the two."""
    rows = np.array([[np.cos(1e-2), np.sin(1e-2)], [-np.cos(1e-2), np.sin(1e-2)], [0, 1e6]]) * 1e-6
    np.testing.assert_allclose(min_norm_weights(rows @ rows.T), [0.5, 0.5, 0], atol=1e-10)


def test_min_norm_of_duplicates_and_of_opposites():
    first, second = np.array([3.0, 0.0]), np.array([0.0, 4.0])
    rows = np.stack([first, second, first])
    weights = min_norm_weights(rows @ rows.T)
    assert_on_simplex(weights)
    np.testing.assert_allclose(weights @ rows, [48 / 25, 36 / 25], rtol=1e-10)
    rows = np.stack([first, -2 * first])
    np.testing.assert_allclose(min_norm_weights(rows @ rows.T), [2 / 3, 1 / 3], rtol=1e-7)


def test_min_norm_gives_all_weight_to_zero_gradients():
    rows = gradients(0, 4, 6) * np.array([1, 0, 1, 1])[:, None]
    np.testing.assert_array_equal(min_norm_weights(rows @ rows.T), [0, 1, 0, 0])
    np.testing.assert_array_equal(min_norm_weights(np.zeros((4, 4))), np.full(4, 0.25))


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e12])
def test_weights_do_not_depend_on_the_scale(scale):
    rows, random = gradients(1, 8, 20, decades=3), np.random.default_rng(1)
    gram, losses = rows @ rows.T, random.uniform(0.1, 2, 8)
    order = np.stack([random.permutation(8) for _ in range(8)])
    for weights in (
        min_norm_weights,
        lambda g: cagrad_weights(g, 0.5),
        lambda g: cagrad_direction_weights(g, 0.5, rescale=True),
        lambda g: pcgrad_weights(g, order),
        lambda g: epo_weights(g, losses, np.ones(8)),
        lambda g: epo_weights(g, np.ones(8), np.ones(8)),
    ):
        np.testing.assert_allclose(weights(gram * scale), weights(gram), rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("decades", SPANS)
@pytest.mark.parametrize("c", [0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("average", [None, (0.7, 0.2, 0.1)])
def test_cagrad_is_the_best_of_a_grid(average, c, decades):
    average = None if average is None else np.array(average)
    for seed in range(3):
        rows = gradients(seed, 3, 10, decades)
        gram = rows @ rows.T
        weights = cagrad_weights(gram, c, average)
        assert_on_simplex(weights)
        objective = cagrad_objective(gram, c, average)
        best = grid_minimum(objective, np.linalg.norm(rows, axis=1))
        assert objective(weights) == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("decades", SPANS)
@pytest.mark.parametrize("c", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("classes", [10, 60])
def test_cagrad_serves_the_worst_class_as_duality_says(classes, c, decades):
    """For w and d feasible, min g_i·d ≤ g_w·g_0 + c ‖g_0‖ ‖g_w‖, and only optima are equal."""
    rows = gradients(3, classes, 100, decades)
    gram, mean = rows @ rows.T, rows.mean(axis=0)
    direction = cagrad_direction_weights(gram, c) @ rows
    radius = c * np.linalg.norm(mean)
    assert np.linalg.norm(direction - mean) == pytest.approx(radius, rel=1e-9)
    bound = cagrad_objective(gram, c)(cagrad_weights(gram, c))
    assert (rows @ direction).min() == pytest.approx(bound, rel=1e-6, abs=1e-12)
    assert (rows @ direction).min() > (rows @ mean).min()


def test_cagrad_rescales_and_keeps_the_mean_with_a_prior():
    rows = gradients(2, 4, 10)
    gram, prior, c = rows @ rows.T, np.array([0.6, 0.2, 0.1, 0.1]), 0.5
    plain = cagrad_direction_weights(gram, c, prior)
    np.testing.assert_allclose(cagrad_direction_weights(gram, c, prior, rescale=True), plain / 1.25)
    assert not np.allclose(plain, cagrad_direction_weights(gram, c))
    mean = rows.mean(axis=0)
    distance = np.linalg.norm(plain @ rows - mean)
    assert distance == pytest.approx(c * np.linalg.norm(mean), rel=1e-9)


def test_cagrad_at_its_ends():
    gram = np.diag([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(cagrad_direction_weights(gram, 0), np.full(4, 0.25))
    opposed = np.array([[1.0, -1.0], [-1.0, 1.0]])
    np.testing.assert_array_equal(cagrad_weights(opposed, 0.5), [0.5, 0.5])
    np.testing.assert_array_equal(cagrad_direction_weights(opposed, 0.5), [0.5, 0.5])


@pytest.mark.parametrize("seed", range(5))
def test_cagrad_takes_no_direction_from_gradients_that_cancel(seed):
    """g_0 is normal to the two opposed, whose best g_w is zero: its direction would be rounding."""
    first, second = gradients(seed, 2, 50)
    normal = second - second @ first * first
    rows = np.stack([first, -np.pi * first, normal + (np.pi - 1) * first])
    gram = rows @ rows.T
    weights = cagrad_weights(gram, 0.5)
    np.testing.assert_allclose(weights[:2], np.array([np.pi, 1]) / (1 + np.pi), atol=1e-6)
    np.testing.assert_array_equal(cagrad_direction_weights(gram, 0.5), np.full(3, 1 / 3))


def test_cagrad_takes_no_direction_from_a_zero_gradient():
    rows = np.array([[1, 0], [-0.2, 0.1], [0, 0]])
    gram = rows @ rows.T
    np.testing.assert_allclose(cagrad_weights(gram, 0.9), [0, 0, 1], atol=1e-9)
    np.testing.assert_array_equal(cagrad_direction_weights(gram, 0.9), np.full(3, 1 / 3))


def test_pcgrad_of_two_conflicting_gradients_by_hand():
    """g_1 = (1, 0), g_2 = (-1, 1): g_1 becomes (1, 1)/2 = g_1 + g_2/2, g_2 becomes (0, 1)."""
    gram, order = np.array([[1.0, -1.0], [-1.0, 2.0]]), np.array([[0, 1], [1, 0]])
    np.testing.assert_allclose(pcgrad_weights(gram, order), [(1 + 1) / 2, (1 / 2 + 1) / 2])


def test_pcgrad_without_conflict_is_the_mean():
    rows = np.abs(gradients(0, 5, 8))
    order = np.tile(np.arange(5), (5, 1))
    np.testing.assert_array_equal(pcgrad_weights(rows @ rows.T, order), np.full(5, 0.2))


@pytest.mark.parametrize("decades", SPANS)
@pytest.mark.parametrize("dimension", [2, 4])
def test_pcgrad_equals_its_algorithm_on_vectors(dimension, decades):
    rows, random = gradients(0, 7, dimension, decades), np.random.default_rng(0)
    order = np.stack([random.permutation(7) for _ in range(7)])
    projected = rows.copy()
    for i in range(7):
        for j in order[i]:
            if j != i and projected[i] @ rows[j] < 0:
                projected[i] -= projected[i] @ rows[j] / (rows[j] @ rows[j]) * rows[j]
    assert not np.allclose(projected, rows)
    weights = pcgrad_weights(rows @ rows.T, order)
    np.testing.assert_allclose(weights @ rows, projected.mean(axis=0), rtol=1e-7, atol=1e-12)
    reverse = pcgrad_weights(rows @ rows.T, order[:, ::-1])
    assert not np.allclose(weights, reverse)


def epo_bounds(gram, losses, preference):
    """The balance mode's objective and lower bounds of gram @ w, one class at a time."""
    weighted = preference * losses
    shares = weighted / weighted.sum()
    mu = sum(p * np.log(len(shares) * p) for p in shares)
    pull = [r * (np.log(len(shares) * p) - mu) for r, p in zip(preference, shares, strict=True)]
    gains = np.array([sum(pull * row) for row in gram])
    bounds = [gain if gain <= 0 else -np.inf for gain in gains]
    bounds = bounds if max(gains) > 0 else [0] * len(gains)
    bounds[int(np.argmax(weighted))] = 0
    return gains, np.array(bounds)


@pytest.mark.parametrize("decades", SPANS)
@pytest.mark.parametrize("seed", [*range(6), 14, 16, 41, 53])
def test_epo_in_balance_mode_is_the_best_of_a_grid(seed, decades):
    """At even lengths, a class rises freely in seeds 14, 16 and 53, and none may in 41."""
    rows, random = gradients(seed, 3, 4, decades), np.random.default_rng(seed)
    gram, losses, preference = (
        rows @ rows.T,
        random.uniform(0.1, 3, 3),
        random.dirichlet(np.ones(3)),
    )
    gains, bounds = epo_bounds(gram, losses, preference)
    weights = epo_weights(gram, losses, preference)
    assert_on_simplex(weights)
    norms = np.linalg.norm(rows, axis=1)
    assert (gram @ weights >= bounds - 1e-9 * norms).all()
    grid = np.vstack([simplex_grid(300), simplex_grid(300) / norms])
    grid /= grid.sum(axis=1, keepdims=True)
    feasible = grid[(grid @ gram >= bounds).all(axis=1)]
    assert len(feasible)
    best, size = (feasible @ gains).max(), np.abs(gains).max()
    assert best - 1e-9 * size <= gains @ weights <= best + 0.02 * size


def non_uniformity(weighted):
    shares = weighted[weighted > 0] / weighted.sum()
    return (shares * np.log(len(weighted) * shares)).sum()


@pytest.mark.parametrize("decades", SPANS)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("silent", [False, True])
def test_epo_balances_without_raising_the_largest_weighted_loss(silent, seed, decades):
    rows, random = gradients(seed, 10, 50, decades), np.random.default_rng(seed)
    losses, preference = random.uniform(0.1, 3, 10), random.dirichlet(np.ones(10))
    if silent:
        rows[3], losses[3] = 0, 0
    weights = epo_weights(rows @ rows.T, losses, preference)
    assert_on_simplex(weights)
    progress = rows @ (weights @ rows)
    largest = np.argmax(preference * losses)
    assert progress[largest] >= -1e-9 * np.linalg.norm(rows[largest])
    after = np.maximum(losses - 1e-4 * progress / np.abs(progress).max(), 0)
    assert non_uniformity(preference * after) < non_uniformity(preference * losses) - 1e-9


@pytest.mark.parametrize("decades", SPANS)
def test_epo_at_equal_losses_lowers_all(decades):
    rows = gradients(5, 10, 50, decades)
    gram = rows @ rows.T
    weights = epo_weights(gram, np.full(10, 0.7), np.full(10, 0.1))
    assert_on_simplex(weights)
    progress = rows @ (weights @ rows)
    assert (progress >= -1e-9 * np.linalg.norm(rows, axis=1)).all()
    assert progress.sum() > (gram @ min_norm_weights(gram)).sum()


@pytest.mark.parametrize("decades", [0, 6])
@pytest.mark.parametrize(("rise", "least"), [(1e-4, -1e-8), (1e-5, -1e-4)])
def test_epo_heeds_short_gradients_that_nearly_cancel(rise, least, decades):
    """Ten gradients surround the origin of four dimensions and share a slight fifth."""
    lengths = np.logspace(0, -decades, 10)
    for seed in range(60):
        random = np.random.default_rng(seed)
        rows = np.hstack([random.standard_normal((10, 4)), rise * random.uniform(1, 2, (10, 1))])
        rows *= (lengths / np.linalg.norm(rows, axis=1))[:, None]
        direction = epo_weights(rows @ rows.T, np.ones(10), np.ones(10)) @ rows
        assert (rows @ direction / lengths).min() > least * np.linalg.norm(direction)


def test_epo_without_losses_or_gradients_is_uniform():
    third = np.full(3, 1 / 3)
    np.testing.assert_array_equal(epo_weights(np.eye(3), np.zeros(3), np.ones(3)), third)
    np.testing.assert_array_equal(epo_weights(np.zeros((3, 3)), np.arange(3), np.ones(3)), third)


def test_epo_where_rounding_leaves_no_feasible_point_is_the_min_norm():
    gram = np.array([[1, -2 - 1e-6], [-2 - 1e-6, 4]])
    found = epo_weights(gram, np.ones(2), np.ones(2))
    np.testing.assert_allclose(found, [2 / 3, 1 / 3], atol=1e-6)


GRAM, ORDER, ONES = np.eye(3), np.tile(np.arange(3), (3, 1)), np.ones(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: min_norm_weights(np.ones((2, 3))), r"\(K, K\)"),
        (lambda: min_norm_weights(np.diag([1.0, np.nan])), "finite"),
        (lambda: min_norm_weights(np.diag([1.0, -1.0])), "diagonal"),
        (lambda: cagrad_weights(GRAM, -0.1), "found -0.1"),
        (lambda: cagrad_weights(GRAM, 0.5, np.ones(2)), "average"),
        (lambda: pcgrad_weights(GRAM, ORDER[:2]), "3 rows"),
        (lambda: pcgrad_weights(GRAM, np.zeros_like(ORDER)), "permutation"),
        (lambda: epo_weights(GRAM, np.ones(2), ONES), "losses must be 3"),
        (lambda: epo_weights(GRAM, ONES, -ONES), "preference"),
        (lambda: epo_weights(GRAM, -ONES, ONES), "losses"),
    ],
)
def test_wrong_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
