"""Compare the released Saddle-LongTail protocol with the exact spectrum, on one checkpoint.

Left: λmin of every scope by both, the exact one with its bracket. Right: the two densities of
chosen scopes on one axis.
"""

from dataclasses import dataclass

import numpy as np

from figures.charts.lines import Chart, Key
from figures.charts.panel import POWERS, Axis, Dash, Line, Marker, Panel, colour
from figures.output import PAGE
from figures.request import Request
from figures.runs.history import Snapshot, snapshots
from landscape.results import InputError, quoted
from landscape.results.density import Density
from landscape.results.fields import Array
from landscape.results.load import read_record
from landscape.results.spectrum import Spectrum

_FLOOR = 1e-7
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

    def panels(self) -> list[Panel]:
        """Describe the row of the run."""
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
        x = Axis("λmin / λmax", f"λmin / λmax, {self.run}")
        names = Axis(is_reversed=True)
        ratios = Panel(self.run, lines, x, names, page_title="", zero=True)
        heights = ["density", *[""] * (len(self.densities) - 1)]
        found = zip(self.densities, heights, strict=True)
        return [ratios, *(_density_panel(*both, height) for both, height in found)]


def read(request: Request) -> Chart:
    """Read both analyses of every run, see :func:`comparisons`."""
    rows = [one.panels() for one in comparisons(request)]
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
        [(one.scope_label(s), _density(exact, s), _density(released, s)) for s in shown],
    )


def _ratio_bars(exact: Spectrum) -> Array:
    """Compute how far λmin/λmax may lie below and above its value, (2, S)."""
    (least, low), (high, most) = exact.lambda_min_bracket.T, exact.lambda_max_bracket.T
    found = exact.lambda_min / exact.lambda_max
    corners = np.stack([least / high, least / most, low / high, low / most])
    bars = np.stack([found - corners.min(axis=0), corners.max(axis=0) - found]).clip(min=0)
    return np.where(np.isfinite(bars), bars, 0.0)


def _released(one: Snapshot[Spectrum]) -> Spectrum:
    path = one.run.path / "results" / "spectrum-saddle" / f"{one.origin.checkpoint}.h5"
    if not path.is_file():
        raise InputError(
            f"'{one.run.path}' has no released-protocol spectrum of {one.origin.checkpoint}; run "
            f"'tailscape diagnose {quoted(one.run.path)} --protocol saddle --analyses spectrum'"
        )
    return read_record(path, Spectrum)[0]


def _density(record: Spectrum, scope: str) -> Density | None:
    known = np.isfinite(record.ritz_values[record.index(scope)]).any()
    return record.density(scope) if known else None


def _density_panel(
    label: str, exact: Density | None, released: Density | None, height: str
) -> Panel:
    lines = [
        Line(
            _NAMES[k],
            density.grid,
            density.mean + _FLOOR / density.sigma,
            colour(k),
            dash=_DASHES[k],
            width=0.9,
            key="none",
        )
        for k, density in enumerate((exact, released))
        if density is not None
    ]
    x = "eigenvalue of the Hessian"
    y = Axis(height, scale="log" if lines else "linear", page=POWERS)
    empty = "no finite value"
    return Panel(label, lines, Axis(x, f"{x}, {label}"), y, page_title="", empty=empty)
