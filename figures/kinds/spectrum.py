"""Draw the eigenvalue density of the Hessian, or of option ``matrix``.

Rows are runs, columns scopes: the log density against the eigenvalue, with the spread over probes
as a band; the brackets of λmax and λmin, the trace with its error, what is proved of the negative
side, the accuracy and the verdict stand in each panel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from figures.charts.lines import Chart
from figures.charts.panel import POWERS, Axis, Line, Panel, Style, colour
from figures.output import PAGE
from figures.request import Request
from figures.runs.history import Snapshot, snapshots
from figures.runs.labels import one_matrix
from landscape.results import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.density import Density
from landscape.results.spectrum import Spectrum
from landscape.results.table import with_error

_FLOOR = 1e-7  # of the highest possible density; the papers add 1e-7 to the density they plot
_HOVER = "eigenvalue %{x:.4g}<br>density %{y:.3g}<extra></extra>"


@dataclass(frozen=True)
class ScopeSpectrum:
    """One run and one scope."""

    title: str
    density: Density | None  # None where no Ritz value is finite
    text: str

    def panel(self, colour: str, floor: float, x: Axis, y: Axis) -> Panel:
        """Describe the panel, with the floor added to the density."""
        lines = [] if self.density is None else [_line(self.density, colour, floor)]
        said: Style = {"caption": self.text, "empty": "no finite value"}
        return Panel(self.title, lines, x, y, zero=True, **said)


def spectra(request: Request) -> tuple[list[list[ScopeSpectrum]], str]:
    """Read the spectra of a request, a row a run, and name their matrix.

    Raises:
        InputError: a run lacks the result, or the result the scope.
    """
    found = snapshots(request.spectrum_runs(), Spectrum, request.checkpoint)
    matrix = one_matrix([one.origin for one in found])
    scopes = request.scopes or _default_scopes([one.record for one in found])
    return [_row(one, scopes) for one in found], matrix.name


def read(request: Request) -> Chart:
    """Read the spectra of a request, a row a run.

    Raises:
        InputError: a run lacks the result, or the result the scope.
    """
    found, matrix = spectra(request)
    floor, ceiling = _limits([one.density for row in found for one in row])
    rows = []
    for r, row in enumerate(found):
        x = Axis(f"eigenvalue of the {matrix}" if r == len(found) - 1 else "", most_ticks=5)
        ends: Style = {"scale": "log", "limits": (floor / 1.5, ceiling), "page": POWERS}
        ys = [Axis("" if c else "density", **ends) for c in range(len(row))]
        rows.append([one.panel(colour(r), floor, x, y) for one, y in zip(row, ys, strict=True)])
    title, style = f"{matrix}: spectrum, class by class", {"fontsize": 6, "linespacing": 1.3}
    size, height = (PAGE, 2.1 * len(rows) + 0.25), 320 * len(rows) + 80
    return Chart(rows, title, size, height, share_y="row", title_style=style)


def _default_scopes(records: Sequence[Spectrum]) -> tuple[str, ...]:
    """Choose overall, a head class and a tail class, if every run has them.

    Raises:
        InputError: the runs have no scope in common.
    """
    others = [set(map(str, record.scope)) for record in records]
    names = [str(name) for name in records[0].scope if all(str(name) in o for o in others)]
    if not names:
        raise InputError("these runs have no scope in common; diagnose them with the same --scopes")
    classes = [name for name in names if name.startswith("class/")]
    ends = dict.fromkeys([*classes[:1], *classes[-1:]])
    return tuple(name for name in ("overall", *ends) if name in names) or tuple(names[:3])


def _row(one: Snapshot[Spectrum], scopes: Sequence[str]) -> list[ScopeSpectrum]:
    judged = one.run.find(Accuracy, one.origin.checkpoint)
    shares = judged.by_scope() if judged is not None else {}
    return [_scope(one, scope, shares.get(scope)) for scope in scopes]


def _scope(one: Snapshot[Spectrum], scope: str, share: float | None) -> ScopeSpectrum:
    record, at = one.record, one.record.index(scope)
    words = [str(record.verdict[at])]  # empty for another matrix than the Hessian
    if share is not None:
        words.append(f"accuracy {100 * share:.1f} %")
    high, low = record.end_texts(at)
    text = [
        f"λmax {high}",
        f"λmin {low}",
        f"trace {with_error(record.trace[at], record.trace_sem[at])}",
        _negative(record, at),
        ", ".join(filter(None, words)),
    ]
    density = record.density(scope) if np.isfinite(record.ritz_values[at]).any() else None
    title, said = f"{one.label}: {one.scope_label(scope)}", "\n".join(filter(None, text))
    return ScopeSpectrum(title, density, said)


def _negative(record: Spectrum, at: int) -> str:
    """Say how many eigenvalues are proved negative, and what share is at 99 %."""
    if np.isnan(record.negative_directions[at]):
        return ""
    low, high = 100 * record.negative_share_low[at], 100 * record.negative_share_high[at]
    return f"λ < 0: ≥ {record.negative_directions[at]:.0f}, {low:.2g} to {high:.3g} %"


def _limits(found: Sequence[Density | None]) -> tuple[float, float]:
    """Choose one density scale for all panels."""
    known = [density for density in found if density is not None]
    peaks = [1 / (density.sigma * np.sqrt(2 * np.pi)) for density in known] or [1.0]
    return _FLOOR * min(peaks), 3 * max(peaks)


def _line(density: Density, colour: str, floor: float) -> Line:
    return Line(
        "density",
        density.grid,
        density.mean + floor,
        colour,
        band=(density.low + floor, density.high + floor),
        shade=(0.3, 0.25),
        width=0.9,
        page_width=1.5,
        hover=_HOVER,
        key="none",
    )
