r"""Compute spectral densities by stochastic Lanczos quadrature, from stored Ritz values.

Each probe gives Σ_k τ_k N(x; θ_k, σ²) with weights τ that sum to one; the density is the mean over
probes (Ghorbani et al. 2019) and its band the spread over them. The papers smooth with
σ² = 1e-5 · max(1, θ_max - θ_min), which is not scale-free: a spectrum scaled by 1e-4 becomes one
bump. Here σ² = 1e-5 · (θ_max - θ_min)², the same at the unit range the constant was made for, and
it scales with the spectrum.

The spread is no confidence. What is certain of the share Φ(x) of eigenvalues up to x: the measure
Ψ of one start obeys Σ_{i<j} τ_i ≤ Ψ(θ_j) ≤ Σ_{i≤j} τ_i (Chebyshev, Markov and Stieltjes), and its
mean over n starts, uniform on the sphere of R^P, is farther than t from Φ at any x with a
probability of at most 2 P exp(-n (P + 2) t²) (Chen, Trogdon and Ubaru 2021). By interlacing, each
Ritz value has an eigenvalue of its own on either side. No tensor library is imported here, so that
pictures stay cheap.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
CONFIDENCE = 0.99
_LEAST_SPAN = 1e-200  # a narrower spectrum's density would overflow: it is that of zero


@dataclass(frozen=True)
class Density:
    """A smoothed spectral density on a grid."""

    grid: Array  # (G,)
    mean: Array  # (G,), integrates to one
    low: Array  # (G,), smallest over probes
    high: Array  # (G,), largest over probes
    sigma: float  # width of the Gaussian


def smoothed_density(
    values: Array, weights: Array, *, points: int = 2000, relative_width: float = 1e-5**0.5
) -> Density:
    """Smooth quadrature nodes with a Gaussian.

    Args:
        values: (probes, steps) Ritz values, NaN where a run ended early.
        weights: (probes, steps) quadrature weights, NaN likewise; each row sums to one.
        points: grid points G.
        relative_width: σ as a share of the range of the Ritz values.

    Returns:
        The density; its grid reaches beyond the extreme values by 5 % of the range or 6 σ.

    Raises:
        ValueError: no value is finite.
    """
    known = np.isfinite(values)
    if not known.any():
        raise ValueError("no finite Ritz value; the spectrum holds only NaN")
    found = known.any(axis=1)  # a probe of NaN says nothing
    values, weights, known = values[found], weights[found], known[found]
    low, high = float(values[known].min()), float(values[known].max())
    span = high - low or abs(high)
    span = span if span > _LEAST_SPAN else 1.0
    sigma = relative_width * span
    margin = max(0.05 * span, 6 * sigma)
    nodes = np.sort(np.concatenate([values[known] + k * sigma for k in (-2, -1, 0, 1, 2)]))
    grid = np.union1d(np.linspace(low - margin, high + margin, points), nodes)
    curves = np.stack(
        [_curve(grid, v[k], w[k], sigma) for v, w, k in zip(values, weights, known, strict=True)]
    )
    return Density(grid, curves.mean(axis=0), curves.min(axis=0), curves.max(axis=0), sigma)


def cumulative_density(values: Array, weights: Array, grid: Array) -> tuple[Array, Array, Array]:
    """Compute the share of the spectrum up to each point, without smoothing.

    Args:
        values: (probes, steps) Ritz values, NaN where a run ended early.
        weights: (probes, steps) quadrature weights, NaN likewise.
        grid: (G,) points.

    Returns:
        Mean, smallest and largest over probes, each (G,), from 0 to 1.
    """
    found = np.isfinite(values).any(axis=1)  # a probe of NaN says nothing
    values, weights = (values[found], weights[found]) if found.any() else (values, weights)
    below = values[:, None, :] <= grid[None, :, None]  # NaN is below nothing
    shares = np.where(below, weights[:, None, :], 0.0).sum(axis=2)
    return shares.mean(axis=0), shares.min(axis=0), shares.max(axis=0)


def share_bounds(
    values: Array,
    weights: Array,
    points: Array,
    size: int,
    *,
    rounding: float = 0.0,
    weight_rounding: float = 0.0,
    confidence: float = CONFIDENCE,
) -> tuple[Array, Array]:
    """Bound the share of eigenvalues up to each point, for all points at once.

    Args:
        values: (probes, steps) Ritz values, ascending, NaN where a run ended early.
        weights: (probes, steps) quadrature weights, NaN likewise.
        points: (G,) thresholds x.
        size: P of the matrix.
        rounding: by how much Ritz values may be off.
        weight_rounding: by how much sums of weights may be off.
        confidence: probability that all of the bounds hold.

    Returns:
        Lower and upper bounds, each (G,).
    """
    probes = [(v[k], w[k]) for v, w, k in zip(values, weights, np.isfinite(values), strict=True)]
    probes = [(v, w) for v, w in probes if len(v)]
    shares = [_stieltjes_bounds(v, w, points, rounding) for v, w in probes]
    low, high = np.mean(shares, axis=0)
    apart = np.sqrt(np.log(2 * size / (1 - confidence)) / (len(probes) * (size + 2)))
    below = np.max([_count(v, points - rounding) for v, _ in probes], axis=0) / size
    above = np.max([len(v) - _count(v, points + rounding) for v, _ in probes], axis=0) / size
    least = np.maximum(low - apart - weight_rounding, below)
    most = np.minimum(high + apart + weight_rounding, 1 - above)
    return least, most


def ritz_rounding(values: Array, orthogonality_loss: float, error: float) -> float:
    """Bound how far Ritz values are off, for a basis and products that are not quite exact.

    The nearest orthonormal basis has a projection within 2 ω max |θ| of QᵀHQ, and that is within
    √m ‖error‖ of what the recurrence holds, each column of it by that error.

    Args:
        values: (probes, steps m) Ritz values.
        orthogonality_loss: ω = ‖QQᵀ - I‖.
        error: of a product with a unit vector.
    """
    skew = 2 * orthogonality_loss * float(np.nanmax(np.abs(values)))
    return float(skew + values.shape[1] ** 0.5 * error)


def _stieltjes_bounds(nodes: Array, weights: Array, points: Array, rounding: float) -> Array:
    """Bound the measure of one start up to each point: (2, G)."""
    sums = np.concatenate([[0.0], np.cumsum(weights)])
    before = np.maximum(_count(nodes, points - rounding) - 1, 0)
    behind = np.minimum(_count(nodes, points + rounding) + 1, len(nodes))
    return np.stack([sums[before], sums[behind]])


def _count(nodes: Array, points: Array) -> NDArray[np.intp]:
    """Count the nodes up to each point."""
    return np.searchsorted(nodes, points, side="right")


def _curve(grid: Array, nodes: Array, weights: Array, sigma: float) -> Array:
    offsets = (grid[:, None] - nodes[None, :]) / sigma
    kernels: Array = np.exp(-0.5 * offsets**2) / (sigma * np.sqrt(2 * np.pi))
    return kernels @ weights
