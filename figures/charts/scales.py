"""Scales that hold both signs: linear around 0, logarithmic beyond; as matplotlib's symlog.

A page has no such scale, so it shows transformed values under ticks that name the true ones.
"""

import numpy as np

from figures.charts.panel import Axis
from landscape.results.fields import Array

_LINEAR = 1 / 0.9  # decades that the linear part is long on either side, as matplotlib has it
_MOST_DECADES = 5  # below the largest that are told apart
_MOST_TICKS = 4  # on either side of 0


def symlog(values: Array, threshold: float) -> Array:
    """Place values on the scale, in decades.

    Args:
        values: any shape.
        threshold: up to which it is linear.
    """
    sizes = np.abs(values) / threshold
    with np.errstate(divide="ignore", invalid="ignore"):
        far = _LINEAR + np.log10(sizes)
    found: Array = np.sign(values) * np.where(sizes <= 1, sizes * _LINEAR, far)
    return found


def scale_of(values: Array, label: str = "") -> Axis:
    """Choose a scale for values over decades: logarithmic, and linear around 0 where it is reached.

    Args:
        values: what is drawn, any shape; those that are not finite are passed over.
        label: of the axis.
    """
    values = values[np.isfinite(values)]
    if values.size == 0 or not values.any():
        return Axis(label)
    if values.min() > 0:
        return Axis(label, scale="log", round_ticks=True)
    sizes = np.abs(values[values != 0])
    threshold = 10 ** np.floor(np.log10(max(sizes.min(), sizes.max() / 10**_MOST_DECADES)))
    room = 0.15 * threshold
    limits = (
        float(1.6 * values.min() if values.min() < 0 else -room),
        float(values.max() / 1.6 if values.max() < 0 else max(1.6 * values.max(), room)),
    )
    ticks = symlog_ticks(*limits, threshold)
    return Axis(label, scale="symlog", threshold=float(threshold), limits=limits, ticks=ticks)


def symlog_ticks(low: float, high: float, threshold: float) -> tuple[list[float], list[str]]:
    """Choose powers of ten on both sides of 0.

    Args:
        low: lower end.
        high: upper end.
        threshold: up to which the scale is linear.
    """
    nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    least, most = max(threshold, nearest), max(-low, high)
    first, last = int(np.ceil(np.log10(least) - 1e-9)), int(np.floor(np.log10(most) + 1e-9))
    every = max(-(-(last - first + 1) // _MOST_TICKS), 1)
    powers = [10.0**power for power in range(last, first - 1, -every)][::-1]
    every_place = [-p for p in powers[::-1]] + [0.0] + powers
    found = [place for place in every_place if low <= place <= high]
    return found, [power_text(value) for value in found]


def power_text(value: float) -> str:
    """Write a number of a logarithmic scale: as it is from 0.001 to 1000, and as 10⁻⁴ beyond."""
    if value == 0 or 0.0009 < abs(value) < 1001:
        return f"{value:g}".replace("-", "−")
    digits, _, power = f"{abs(value):.2e}".partition("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    times = "" if float(digits) == 1 else f"{float(digits):g}×"
    return f"{'−' if value < 0 else ''}{times}10{raised}"
