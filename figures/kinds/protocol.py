"""Compare the released Saddle-LongTail protocol with the exact spectrum, on one checkpoint.

Left: λmin/λmax of every scope by both, the exact one with its bracket. Right: the two densities of
chosen scopes, on one axis for all panels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from figures.charts.densities import (
    density_axis,
    density_floor,
    density_line,
    density_of,
    eigenvalue_axis,
)
from figures.charts.lines import Chart, Key
from figures.charts.panel import Axis, Dash, Line, Marker, Panel, Style, colour
from figures.output import PAGE
from figures.request import Request
from figures.runs.history import Snapshot, snapshots
from landscape.results import InputError
from landscape.results.checkpoint_names import checkpoint_label
from landscape.results.density import Density
from landscape.results.fields import Array
from landscape.results.remedy import remedy
from landscape.results.spectrum import Spectrum

_NAMES = ("exact", "released protocol")
_MARKERS: tuple[Marker, ...] = (("o", "circle"), ("x", "x"))
_DASHES: tuple[Dash, ...] = ("solid", "dash")


@dataclass(frozen=True)
class ProtocolComparison:
    """Both analyses of one run."""

    run: str
    labels: list[str]  # of the scopes
    ratios: tuple[Array, Array]  # λmin/λmax, exact and released
    errors: Array  # (2, S), below and above, of the exact one
    densities: list[tuple[str, Density | None, Density | None]]  # None: no finite Ritz value

    def panels(self, x: Axis, y: Axis, floor: float) -> list[Panel]:
        """Describe the row of the run, its densities on the axes of all runs."""
        lines = [
            Line(
                _NAMES[k],
                self.ratios[k],
                np.array(self.labels),
                colour(k),
                _MARKERS[k],
                joined=False,
                x_error=self.errors if k == 0 else None,
                cap=0,
            )
            for k in range(2)
        ]
        ratio, names = Axis("λmin / λmax"), Axis(is_reversed=True)
        ratios = Panel(self.run, lines, ratio, names, zero=True)
        found = [ratios]
        for k, (label, *pair) in enumerate(self.densities):
            height = replace(y, label="" if k else "density")
            found.append(_density_panel(label, pair, x, height, floor))
        return found


def read(request: Request) -> Chart:
    """Read both analyses of every run, see :func:`comparisons`."""
    found = comparisons(request)
    every = [density for one in found for _, *pair in one.densities for density in pair]
    x = eigenvalue_axis(every, "eigenvalue of the Hessian", inner=False)
    y = density_axis(every, room=0.3)
    rows = [one.panels(x, y, density_floor(every)) for one in found]
    return Chart(
        rows,
        "Exact against the released protocol",
        (PAGE, 2.4 * len(rows) + 0.2),
        380 * len(rows) + 80,
        key=Key(columns=2),
        widths=(1.3, *[1.0] * (max(map(len, rows)) - 1)),
    )


def comparisons(request: Request) -> list[ProtocolComparison]:
    """Read both analyses of every run.

    Raises:
        InputError: one is missing; the message gives the command that makes it.
    """
    found = snapshots(request.runs, Spectrum, request.checkpoint)
    return [_comparison(one, request.scopes) for one in found]


def _comparison(one: Snapshot[Spectrum], asked: tuple[str, ...]) -> ProtocolComparison:
    exact, released = one.record, _released(one)
    scopes = [str(s) for s in exact.scope if str(s) in set(map(str, released.scope))]
    a, b = [exact.index(s) for s in scopes], [released.index(s) for s in scopes]
    low, high = exact.lambda_min[a], exact.lambda_max[a]
    classes = [s for s in scopes if s.startswith("class/")]
    shown = asked or tuple(dict.fromkeys([*classes[:1], *classes[-1:]])) or (scopes[0],)
    return ProtocolComparison(
        one.label,
        [one.scope_label(s) for s in scopes],
        (low / high, released.lambda_min[b] / released.lambda_max[b]),
        _ratio_bars(exact)[:, a],
        [_pair(one.scope_label(s), s, exact, released) for s in shown],
    )


def _ratio_bars(exact: Spectrum) -> Array:
    """Compute how far λmin/λmax may lie below and above its value, (2, S)."""
    (least, low), (high, most) = exact.lambda_min_bracket.T, exact.lambda_max_bracket.T
    found = exact.lambda_min / exact.lambda_max
    corners = np.stack([least / high, least / most, low / high, low / most])
    bars = np.stack([found - corners.min(axis=0), corners.max(axis=0) - found]).clip(min=0)
    return np.where(np.isfinite(bars), bars, 0.0)


def _released(one: Snapshot[Spectrum]) -> Spectrum:
    name, checkpoint = "spectrum-saddle", one.origin.checkpoint
    path = one.run.path / "results" / name / f"{checkpoint}.h5"
    if not path.is_file():
        raise InputError(
            f"'{one.run.path}' has no released-protocol spectrum of "
            f"{checkpoint_label(checkpoint)}; {remedy(one.run.path, name, checkpoint)}"
        )
    return one.run.read_file(path, Spectrum)[0]


def _pair(
    label: str, scope: str, exact: Spectrum, released: Spectrum
) -> tuple[str, Density | None, Density | None]:
    first, second = (density_of(record, record.index(scope)) for record in (exact, released))
    return label, first, second


def _density_panel(
    label: str, pair: Sequence[Density | None], x: Axis, y: Axis, floor: float
) -> Panel:
    """Draw both densities; their names are in the key of the first panel."""
    looks = zip(_NAMES, pair, _DASHES, strict=True)
    lines = [
        density_line(density, colour(k), floor, label=name, dash=dash)
        for k, (name, density, dash) in enumerate(looks)
        if density is not None
    ]
    page: Style = {"page_title": label, "empty": "no finite value"}
    return Panel(label, lines, x, y, zero=True, **page)
