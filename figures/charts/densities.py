"""Describe eigenvalue densities: one axis for all panels, the lines, and the marks of both ends.

The axis is linear around 0 and logarithmic beyond, so that the negative side is seen.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from figures.charts.panel import POWERS, Axis, Line, Style
from figures.charts.scales import power_text
from landscape.results.density import Density
from landscape.results.spectrum import Spectrum

_FLOOR = 1e-7  # of the highest possible density; the papers add 1e-7 to the density they plot
_FAR = 0.01  # of the largest eigenvalue, below which a negative one is far from 0
_HOVER = "eigenvalue %{x:.4g}<br>density %{y:.3g}<extra></extra>"
End = tuple[float, float, float]  # of a spectrum: value, and the ends of its bracket


def density_of(record: Spectrum, at: int) -> Density | None:
    """Smooth the density of the scope at a position; ``None`` where no Ritz value is finite."""
    known = np.isfinite(record.ritz_values[at]).any()
    return record.density(str(record.scope[at])) if known else None


def ends_of(record: Spectrum, at: int) -> list[End]:
    """Read λmin and λmax of the scope at a position with their brackets."""
    brackets = record.lambda_min_bracket[at], record.lambda_max_bracket[at]
    values = record.lambda_min[at], record.lambda_max[at]
    pairs = zip(values, brackets, strict=True)
    return [(float(v), float(low), float(high)) for v, (low, high) in pairs if np.isfinite(v)]


def eigenvalue_axis(
    found: Sequence[Density | None], label: str = "", decades: int = 2, *, inner: bool = True
) -> Axis:
    """Choose one axis of eigenvalues for all panels, linear up to a hundredth of the largest.

    Args:
        found: the densities of all panels.
        label: of the axis.
        decades: below the largest that are told apart; two are the hundredth.
        inner: whether the ticks next to 0 are named, for which narrow panels have no room.
    """
    known = [density for density in found if density is not None]
    if not known:
        return Axis(label)
    low = min(float(density.grid[0]) for density in known)
    high = max(float(density.grid[-1]) for density in known)
    power = np.floor(np.log10(max(-low, high)))
    powers = [float(10.0**p) for p in np.arange(power - decades, power + 1)]
    ticks = [-t for t in powers[::-1] if t <= -low] + [0.0] + [t for t in powers if t <= high]
    texts = [power_text(t) if inner or abs(t) != powers[0] else "" for t in ticks]
    edges = (1.3 * min(low, 0.0), 1.3 * max(high, 0.0))
    scale: Style = {"scale": "symlog", "threshold": powers[0], "limits": edges}
    return Axis(label, ticks=(ticks, texts), **scale)


def density_floor(found: Sequence[Density | None]) -> float:
    """Choose the least density that is drawn, for all panels."""
    return _FLOOR * min(_peaks(found))


def density_axis(
    found: Sequence[Density | None], label: str = "density", room: float = 3, below: float = 0.18
) -> Axis:
    """Choose one scale of density for all panels.

    Args:
        found: the densities of all panels.
        label: of the axis.
        room: decades above the highest, for text.
        below: decades below the least that is drawn, for marks.
    """
    ends = (density_floor(found) / 10**below, 10**room * max(_peaks(found)))
    page: Style = POWERS | {"range": np.log10(ends).tolist(), "dtick": 2}
    return Axis(label, scale="log", limits=ends, page=page)


def density_line(density: Density, colour: str, floor: float, **style: Any) -> Line:
    """Describe a density with the spread over probes; nothing is drawn below the floor."""
    fields: Style = {"label": "density", "width": 0.9, "page_width": 1.5, "key": "none"}
    return Line(
        x=density.grid,
        y=np.where(density.mean > floor, density.mean, np.nan),
        colour=colour,
        band=(np.maximum(density.low, floor), np.maximum(density.high, floor)),
        hover=_HOVER,
        **(fields | {"shade": (0.3, 0.25)} | style),
    )


def end_mark(end: End, height: float, colour: str = "#333333") -> Line:
    """Mark an end of the spectrum with its bracket.

    Args:
        end: value and bracket.
        height: where, above the axis.
        colour: of the mark.
    """
    value, low, high = end
    bars = np.nan_to_num(np.array([[value - low], [high - value]]), posinf=0.0).clip(min=0)
    ticked: Style = {"marker": ("|", "line-ns-open"), "joined": False, "x_error": bars, "cap": 2}
    hover = f"{value:.4g}: {low:.3g} … {high:.3g}<extra></extra>"
    place = np.array([value]), np.array([height])
    return Line("end", *place, colour, hover=hover, key="none", **ticked)


def far_label() -> str:
    """Name the eigenvalues far below 0."""
    return f"λ < −{_FAR:g} max|λ|"


def far_negative(record: Spectrum, at: int) -> str:
    """Bound the share of eigenvalues far below 0 of the scope at a position, at 99 %."""
    size = max(abs(record.lambda_min[at]), abs(record.lambda_max[at]))
    _, _, (share,) = record.cumulative(str(record.scope[at]), np.array([-_FAR * size]))
    if np.isnan(share):
        return "–"
    return f"≤ {100 * share:.2g} %" if share < 0.995 else "≤ 100 %"


def _peaks(found: Sequence[Density | None]) -> list[float]:
    known = [density for density in found if density is not None]
    return [float(1 / (density.sigma * np.sqrt(2 * np.pi))) for density in known] or [1.0]
