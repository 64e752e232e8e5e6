"""The weights of class gradients, from the Gram matrix of the gradients alone.

A multi-objective rule follows d = Σ w_i g_i, and all it needs to know is gram[i, j] = g_i·g_j. No
norm is kept from zero by adding 1e-8, as released codes do: weights do not change when ``gram`` is
multiplied by a positive number, and gradients 1e-6 as long as the longest are resolved alike.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, linprog, nnls
from scipy.special import xlogy

Array = NDArray[np.float64]
NEGLIGIBLE = 1e-11  # length of a combination, in units of the longest gradient, that counts as zero


def min_norm_weights(gram: Array) -> Array:
    """Return argmin ‖Σ w_i g_i‖ over the simplex (Désidéri 2012; Sener & Koltun 2018, Eq. 3).

    The minimiser d has g_i·d ≥ ‖d‖² for every i: a small step along -d raises no class's loss.

    Args:
        gram: (K, K) inner products of the gradients.

    Returns:
        (K,) weights that sum to 1. Gradients of zero length share them all.

    Raises:
        ValueError: ``gram`` is not square, not finite or has a negative diagonal.
    """
    return _nearest(_vectors(gram))


def cagrad_weights(gram: Array, c: float, average: Array | None = None) -> Array:
    """Return argmin g_w·g_0 + c ‖g_0‖ ‖g_w‖ over the simplex (Liu et al. 2021, Algorithm 1).

    g_0 is the mean gradient. As ‖g_w‖ = min_t (‖g_w‖²/t + t)/2, the minimiser is the min-norm point
    of the gradients shifted by t g_0 / (c ‖g_0‖), for the t that is its own ‖g_w‖: one root.

    Args:
        gram: (K, K) inner products of the gradients.
        c: radius of the search around g_0, in units of ‖g_0‖; the paper takes it from [0, 1).
        average: (K,) weights ≥ 0, such as a prior, in place of 1/K in the first term's g_0 only.

    Returns:
        (K,) weights that sum to 1; uniform where g_0 is zero.

    Raises:
        ValueError: ``gram`` as above; ``c`` negative or infinite; ``average`` not (K,) numbers ≥ 0.
    """
    if not 0 <= c < np.inf:
        raise ValueError(f"c is the radius of CAGrad's search, at least 0; found {c}")
    vectors = _vectors(gram)
    uniform = np.full(len(vectors), 1 / len(vectors))
    centre = vectors @ (uniform if average is None else _per_class("average", average, vectors))
    radius = c * _length(vectors, uniform)
    if radius == 0:
        return uniform if c else np.eye(len(vectors))[np.argmin(centre @ vectors)]

    def nearest(log_t: float) -> Array:
        return _nearest(vectors + np.exp(log_t) / radius * centre[:, None])

    def excess(log_t: float) -> float:
        norm, t = np.linalg.norm(vectors @ nearest(log_t)), np.exp(log_t)
        return float((norm - t) / (norm + t))

    low, high = np.log(np.linalg.norm(vectors, axis=0).max() * np.array([NEGLIGIBLE, 2]))
    return nearest(low if excess(low) <= 0 else brentq(excess, low, high, xtol=1e-12))


def cagrad_direction_weights(
    gram: Array, c: float, average: Array | None = None, rescale: bool = False
) -> Array:
    """Return u of CAGrad's d = Σ u_i g_i = g_0 + c ‖g_0‖ g_w / ‖g_w‖ (Liu et al. 2021, Alg. 1).

    Args:
        gram: (K, K) inner products of the gradients.
        c: radius of the search around g_0, in units of ‖g_0‖.
        average: (K,) weights in ``cagrad_weights``; the g_0 of d stays the mean.
        rescale: divide d by 1 + c², as an option of the authors' code does.

    Returns:
        (K,) coefficients, not of sum 1. A g_w of zero has no direction: its term is left out.

    Raises:
        ValueError: as ``cagrad_weights``.
    """
    weights, vectors = cagrad_weights(gram, c, average), _vectors(gram)
    uniform = np.full(len(weights), 1 / len(weights))
    length = _length(vectors, weights)
    pull = c * _length(vectors, uniform) / length if length else 0.0
    return (uniform + pull * weights) / (1 + c**2 if rescale else 1)


def pcgrad_weights(gram: Array, order: NDArray[np.integer]) -> Array:
    """Return u with Σ u_i g_i the mean of the projected gradients (Yu et al. 2020, Algorithm 1).

    Each g_i meets the others in turn and is projected off those it then conflicts with.

    Args:
        gram: (K, K) inner products of the gradients.
        order: (K, K) integers, row i the permutation in which g_i meets the classes, skipping i.

    Returns:
        (K,) coefficients, each at least 1/K; the sum in the paper's algorithm is K times this.

    Raises:
        ValueError: ``gram`` as above; a row of ``order`` is no permutation.
    """
    scaled = _scaled(gram)
    classes, squares, mixture = np.arange(len(scaled)), np.diag(scaled), np.eye(len(scaled))
    if order.shape != scaled.shape or not (np.sort(order, axis=1) == classes).all():
        raise ValueError(f"order must have {len(scaled)} rows, each a permutation; found {order}")
    for others in order.T:
        dots = (mixture * scaled[others]).sum(axis=1)
        rows = np.flatnonzero((dots < 0) & (others != classes) & (squares[others] > 0))
        mixture[rows, others[rows]] -= dots[rows] / squares[others[rows]]
    return mixture.mean(axis=0)


def epo_weights(gram: Array, losses: Array, preference: Array, tolerance: float = 1e-4) -> Array:
    """Return the weights of a step towards r_1 l_1 = … = r_K l_K (Mahapatra & Rajan 2020, EPO).

    With l̂ = r l / Σ r l, non-uniformity is μ = Σ l̂ log(K l̂), and a_i = r_i (log(K l̂_i) - μ).
    Balance, while μ > ``tolerance``: maximise aᵀ C w so that the largest r l does not rise, nor any
    loss that the step Σ a_i g_i raises by more than that step does (at all, if it lowers none).
    Dominance, after: maximise 1ᵀ C w so that no loss rises; the released code bounds aᵀ C w too.

    Args:
        gram: (K, K) inner products C of the gradients.
        losses: (K,) l ≥ 0, of the classes.
        preference: (K,) r ≥ 0; a larger one asks for a smaller loss.
        tolerance: of μ (nats), below which r l counts as uniform; the default is the authors'.

    Returns:
        (K,) weights that sum to 1; uniform where r l or ``gram`` is zero.

    Raises:
        ValueError: ``gram`` as above; ``losses``, ``preference`` not (K,) finite numbers ≥ 0.
    """
    scaled = _scaled(gram)
    preference = _per_class("preference", preference, scaled)
    weighted = preference * _per_class("losses", losses, scaled)
    if not weighted.any() or not scaled.any():
        return np.full(len(scaled), 1 / len(scaled))
    shares = weighted / weighted.sum()
    mu = xlogy(shares, len(shares) * shares).sum()
    if mu <= tolerance:
        return _programme(scaled, scaled.sum(axis=0), np.zeros(len(shares)))
    # l̂_i = 0 counts as a_i = 0: for a smooth l_i ≥ 0, |g_i|² ≤ 2 L l_i, so a_i g_i vanishes too.
    logs = np.log(len(shares) * shares, out=np.full(len(shares), mu), where=shares > 0)
    gains = scaled @ (preference * (logs - mu))
    lowest = np.where(gains > 0, -np.inf, gains if (gains > 0).any() else 0)
    lowest[weighted == weighted.max()] = 0
    return _programme(scaled, gains, lowest)


def _programme(gram: Array, gains: Array, lowest: Array) -> Array:
    """Maximise ``gains``·w over the simplex subject to gram @ w ≥ ``lowest``."""
    # HiGHS's tolerances are absolute, so unknowns and rows are scaled to a matrix of cosines: short
    # gradients bind like long ones. The 1e-6 keeps entries above what HiGHS takes for zero.
    units = np.sqrt(np.diag(gram)).clip(1e-6)
    units /= units.min()
    matrix, gains = gram / units, gains / units
    sizes = np.abs(matrix).max(axis=1)
    rows = np.isfinite(lowest) & (sizes > 0)
    result = linprog(
        -gains / (np.abs(gains).max() or 1),
        A_ub=-matrix[rows] / sizes[rows, None],
        b_ub=-lowest[rows] / sizes[rows],
        A_eq=1 / units[None],
        b_eq=1,
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    # Min-norm weights meet every bound, gram @ w ≥ ‖d‖² ≥ 0 ≥ lowest. If HiGHS finds no
    # point (2), or none to its tolerance (4), rounding left hardly any other: Pareto-stationary.
    if result.status in (2, 4):
        return min_norm_weights(gram)
    assert result.status == 0, result.message
    weights = np.maximum(result.x, 0) / units
    return weights / weights.sum()


def _nearest(vectors: Array) -> Array:
    """Return the weights of the point nearest to 0 in the convex hull of the columns.

    Exact: argmin ‖V x‖² + β² (Σ x - 1)² over x ≥ 0 is s w* for every β > 0, only the scale s > 0
    depending on β (least distance programming; Lawson & Hanson 1974, Ch. 23).
    """
    norms = np.linalg.norm(vectors, axis=0)
    if norms.min() == 0:
        return (norms == 0) / np.count_nonzero(norms == 0)
    # With x_i ‖v_i‖ as unknowns and β = min ‖v_i‖, no column is longer than √2 or shorter than 1.
    system = np.vstack([vectors / norms, norms.min() / norms])
    weights = nnls(system, np.eye(len(system))[-1], maxiter=30 * len(norms))[0] / norms
    return weights / weights.sum()


def _vectors(gram: Array) -> Array:
    """Return (K, K) columns whose inner products are ``gram``, the longest of norm 1."""
    scaled = _scaled(gram)
    norms = np.sqrt(np.diag(scaled))
    units = np.where(norms > 0, norms, 1)
    # Of the cosines: an eigenvalue's rounding is relative to the largest, and would drown short g.
    values, basis = np.linalg.eigh(scaled / units[:, None] / units)
    return np.sqrt(np.maximum(values, 0))[:, None] * basis.T * norms


def _length(vectors: Array, weights: Array) -> float:
    """Return ‖Σ w_i v_i‖, or 0 where a Gram matrix in float64 cannot tell it from 0."""
    norms, length = np.linalg.norm(vectors, axis=0), float(np.linalg.norm(vectors @ weights))
    noise = np.sqrt(4 * len(weights) * np.finfo(float).eps) * (weights @ norms)
    return length if length > max(noise, NEGLIGIBLE * norms.max()) else 0.0


def _scaled(gram: Array) -> Array:
    """Return ``gram`` in float64 with a largest diagonal entry of 1, or all zero."""
    array = np.asarray(gram, dtype=np.float64)
    square = array.ndim == 2 and 0 < array.shape[0] == array.shape[1]
    if not square or not np.isfinite(array).all() or np.diag(array).min() < 0:
        raise ValueError(f"gram must be (K, K), finite, its diagonal ≥ 0; found {array}")
    return array / (np.diag(array).max() or 1)


def _per_class(name: str, values: Array, gram: Array) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != gram.shape[:1] or not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(f"{name} must be {len(gram)} finite numbers of at least 0; found {values}")
    return array
