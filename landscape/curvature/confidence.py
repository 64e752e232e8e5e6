r"""How far beyond the Ritz values an eigenvalue may lie: bounds that hold with a given probability.

A small residual says that an eigenvalue is near, not that it is the last one: before Krylov space
has found an outlier nothing shows it. But the Lanczos polynomial p_m of a unit start q₁ has
‖p_m(H) q₁‖ = 1, so every eigenvalue has |γ p_m(λ)| ≤ 1, with γ the share of its eigenvector in q₁.
For a start that is uniform on the sphere |γ| is below x with a known probability, and beyond the
Ritz values |p_m| grows without limit: where it passes 1/x no eigenvalue lies, except with that
probability (van Dorsselaer, Hochstenbach and van der Vorst 2001). Nothing is assumed of the
spectrum.

p_m vanishes at the Ritz values and its leading factor is the product of the off-diagonals, which is
in the pairs themselves: √τ_k r_k Π_{j≠k} |θ_k - θ_j| is the same for every k.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betaincinv

from landscape.curvature.lanczos import Ritz

CONFIDENCE = 0.99
_FARTHEST = 1e6  # widths of the Ritz values beyond them, where no answer is called infinite


def spectrum_bounds(
    runs: Sequence[Ritz], size: int, sureness: float = CONFIDENCE
) -> tuple[float, float]:
    """Bound the whole spectrum of a matrix.

    Args:
        runs: Ritz pairs from independent starts, uniform on the sphere, before any restart.
        size: P of the matrix.
        sureness: probability that no eigenvalue lies outside, at either end of any run.

    Returns:
        The interval; NaN for a matrix of NaN.
    """
    share = least_share(size, (1 - sureness) / (2 * len(runs)))
    ends = [_interval(run, share) for run in runs]
    return max(low for low, _ in ends), min(high for _, high in ends)


def least_share(size: int, probability: float) -> float:
    """The |γ| below which a component of a random unit vector of R^P is with this probability."""
    if size == 1:
        return 1.0
    return float(betaincinv(0.5, (size - 1) / 2, probability)) ** 0.5


def _interval(ritz: Ritz, share: float) -> tuple[float, float]:
    values = ritz.values.numpy()
    if not np.isfinite(values).all():
        return np.nan, np.nan
    product = _log_of_off_diagonals(ritz)
    if product == -np.inf:  # an invariant subspace: the ends are exact
        return float(values[0]), float(values[-1])

    def excess(point: float) -> float:
        """Logarithm of |γ p_m| at a point."""
        with np.errstate(divide="ignore"):
            logs: NDArray[np.float64] = np.log(np.abs(point - values))
        return float(logs.sum() - product + np.log(share))

    width = max(float(values[-1] - values[0]), float(np.exp(product / len(values))))
    low = -_where(lambda distance: excess(values[0] - distance), width)
    high = _where(lambda distance: excess(values[-1] + distance), width)
    return float(values[0] + low), float(values[-1] + high)


def _where(excess: Callable[[float], float], width: float) -> float:
    """The distance at which an increasing function passes zero; rounding's if it is less."""
    least, most = 1e-13 * width, width
    if excess(least) >= 0:
        return least
    while excess(most) < 0:
        most *= 10
        if most > _FARTHEST * width:
            return np.inf
    return float(brentq(excess, least, most))


def _log_of_off_diagonals(ritz: Ritz) -> float:
    """Log β₁ … β_m, read off the pair in which it is least rounded."""
    values = ritz.values.numpy()
    shares = ritz.weights.sqrt().numpy() * ritz.residuals.numpy()
    best = int(np.argmax(shares))
    if shares[best] == 0:
        return -np.inf
    apart = np.abs(np.delete(values, best) - values[best])
    with np.errstate(divide="ignore"):
        return float(np.log(shares[best]) + np.log(apart).sum())
