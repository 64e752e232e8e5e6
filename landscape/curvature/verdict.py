"""Minimum, saddle, maximum or flat: what the brackets of a spectrum's two ends allow to be said.

The Rayleigh quotient of any vector proves λmin ≤ θ and, of another, λmax ≥ θ; that nothing lies
farther out is known with a probability of 99 % from a random start, whatever the spectrum. So each
end has a bracket. A saddle or a maximum is said only where it holds for every pair of ends inside
the brackets, a minimum where neither a weak saddle does and a saddle is excluded. Thresholds on
|λmin/λmax|: under 0.02 the negative end is what converged balanced training shows as well; from 0.1
on it is a saddle.
"""

from math import isfinite, isnan
from typing import Literal

Verdict = Literal["minimum", "weak saddle", "saddle", "maximum", "flat", "undecided"]

MINIMUM_RATIO = 0.02
SADDLE_RATIO = 0.1
SMALL_GRADIENT = 0.05
_NOISE = 4  # floors: of the value, of the bound beyond it, and as much for what was not excluded


def verdict(
    lambda_min: float, lambda_max: float, lowest: float, highest: float, floor: float = 0.0
) -> Verdict:
    """Judge the curvature at a point.

    Args:
        lambda_min: Rayleigh quotient of the lowest Ritz vector.
        lambda_max: that of the highest.
        lowest: no eigenvalue lies below, as far as that can be known.
        highest: likewise above.
        floor: what rounding does to a Rayleigh quotient.

    Returns:
        ``saddle`` when λmin is negative and at least a tenth of λmax in size, ``weak saddle`` when
        it is at least a fiftieth, for the greatest λmax and the smallest -λmin of the brackets;
        ``maximum`` when -λmin is proved and λmax is less than a fiftieth of it or negative;
        ``minimum`` when none of these holds and the brackets exclude a ratio of a tenth; ``flat``
        when no eigenvalue differs from zero by more than rounding; otherwise ``undecided``, as for
        values that are not finite.
    """
    known = all(map(isfinite, (lambda_min, lambda_max, floor)))
    if not known or isnan(lowest) or isnan(highest):
        return "undecided"
    down, up = -(lambda_min + floor), lambda_max - floor  # proved: -λmin ≥ down, λmax ≥ up
    if max(down, up) <= 0 and max(-lowest, highest) <= _NOISE * floor:
        return "flat"
    if down > 0 and highest < MINIMUM_RATIO * down:
        return "maximum"
    if down > 0 and down >= SADDLE_RATIO * highest:
        return "saddle"
    if down > 0 and down >= MINIMUM_RATIO * highest:
        return "weak saddle"
    excluded = lowest >= 0 or (up > 0 and -lowest < SADDLE_RATIO * up)
    return "minimum" if excluded else "undecided"


def gradient_is_small(loss: float, grad_norm: float, lambda_max: float) -> bool:
    """Tell whether the point is stationary enough for the words minimum and saddle.

    The best step along the gradient at curvature λmax lowers the loss by ‖g‖²/(2 λmax); the
    gradient counts as small when that is at most 5 % of the loss.
    """
    if grad_norm == 0:
        return True
    return lambda_max > 0 and grad_norm**2 / (2 * lambda_max) <= SMALL_GRADIENT * loss
