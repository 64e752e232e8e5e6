"""Minimum or saddle: what the error bounds of the spectrum's ends allow to be said.

The Rayleigh quotient of any vector proves λmin ≤ θ, so a saddle is a statement about what was
found; a minimum is a statement about what was not, and needs a bound below that holds whatever the
spectrum, as a random start gives one with a probability of 99 %. Either way the
ratio is the least, or the most, that the other end's interval allows. Thresholds on
|λmin/λmax|: under 0.02 the negative end is what converged balanced training shows as well; from
0.1 on it is a saddle.
"""

from typing import Literal

Verdict = Literal["minimum", "weak saddle", "saddle", "undecided"]

MINIMUM_RATIO = 0.02
SADDLE_RATIO = 0.1
SMALL_GRADIENT = 0.05


def verdict(
    lambda_min: float,
    lambda_min_bound: float,
    lambda_max: float,
    lambda_max_bound: float,
    lowest: float = float("inf"),
) -> Verdict:
    """Judge the curvature at a point.

    Args:
        lambda_min: Rayleigh quotient of the lowest Ritz vector.
        lambda_min_bound: half-width of its interval.
        lambda_max: the same of the highest.
        lambda_max_bound: half-width of its interval.
        lowest: no eigenvalue lies below, as far as that can be known; by default what λmin's
            interval says.

    Returns:
        ``saddle`` when λmin is negative beyond its bound and |λmin/λmax| ≥ 0.1 for the largest λmax
        of its interval; ``weak saddle`` when that ratio is at least 0.02; ``minimum`` when neither
        holds and intervals and ``lowest`` exclude a ratio of 0.1; otherwise ``undecided``, as for
        values that are not finite.
    """
    values = (lambda_min, lambda_min_bound, lambda_max, lambda_max_bound)
    if not all(abs(value) < float("inf") for value in values):
        return "undecided"
    proven_negative = lambda_min + lambda_min_bound < 0
    ratio = _ratio(lambda_min, lambda_max + lambda_max_bound)
    if proven_negative and ratio >= SADDLE_RATIO:
        return "saddle"
    if proven_negative and ratio >= MINIMUM_RATIO:
        return "weak saddle"
    least = min(lambda_min - lambda_min_bound, lowest)
    worst = _ratio(least, lambda_max - lambda_max_bound)
    return "minimum" if worst < SADDLE_RATIO else "undecided"


def gradient_is_small(loss: float, grad_norm: float, lambda_max: float) -> bool:
    """Tell whether the point is stationary enough for the words minimum and saddle.

    The best step along the gradient at curvature λmax lowers the loss by ‖g‖²/(2 λmax); the
    gradient counts as small when that is at most 5 % of the loss.
    """
    if grad_norm == 0:
        return True
    return lambda_max > 0 and grad_norm**2 / (2 * lambda_max) <= SMALL_GRADIENT * loss


def _ratio(low: float, high: float) -> float:
    if low >= 0:
        return 0.0
    return -low / high if high > 0 else float("inf")
