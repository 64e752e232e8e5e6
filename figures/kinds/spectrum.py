"""Draw the eigenvalue density of the Hessian, or of option ``matrix``.

Rows are runs, columns scopes: the log density against the eigenvalue, with the spread over probes
as a band, on one axis for all panels, which is linear around 0 and logarithmic beyond, so that the
negative side is seen. Both ends are marked with their brackets; these, the trace with its error,
what is proved of the negative side, the accuracy and the verdict stand in each panel.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from figures.charts.densities import (
    End,
    density_axis,
    density_floor,
    density_line,
    density_of,
    eigenvalue_axis,
    end_mark,
    ends_of,
    far_label,
    far_negative,
)
from figures.charts.lines import Chart
from figures.charts.panel import Axis, Panel, Style, colour
from figures.output import PAGE
from figures.request import Request
from figures.runs.history import Snapshot, snapshots
from figures.runs.labels import one_matrix
from landscape.results.density import Density
from landscape.results.spectrum import Spectrum
from landscape.results.table import percent, with_error


@dataclass(frozen=True)
class ScopeSpectrum:
    """One run and one scope."""

    title: str
    density: Density | None  # None where no Ritz value is finite
    ends: list[End]  # λmin and λmax
    text: str
    empty: str = "no finite value"

    def panel(self, colour: str, floor: float, x: Axis, y: Axis) -> Panel:
        """Describe the panel; no density is drawn below the floor."""
        lines = []
        if self.density is not None:
            marks = [end_mark(end, 2 * floor) for end in self.ends]
            lines = [density_line(self.density, colour, floor), *marks]
        said: Style = {"caption": self.text, "empty": self.empty}
        said["page_title"] = self.title.replace("\n", "<br>")
        return Panel(self.title, lines, x, y, zero=True, **said)


def spectra(request: Request) -> tuple[list[list[ScopeSpectrum]], str]:
    """Read the spectra of a request, a row a run, and name their matrix.

    Raises:
        InputError: a run lacks the result, or every result the scope.
    """
    found = snapshots(request.spectrum_runs(), Spectrum, request.checkpoint)
    matrix = one_matrix([one.origin for one in found])
    records = [one.record for one in found]
    scopes = request.scopes or _default_scopes(records)
    for scope in scopes:
        if not any(scope in set(map(str, record.scope)) for record in records):
            records[0].index(scope)
    return [_row(one, scopes) for one in found], matrix.name


def read(request: Request) -> Chart:
    """Read the spectra of a request, a row a run.

    Raises:
        InputError: a run lacks the result, or every result the scope.
    """
    found, matrix = spectra(request)
    scaling = [spectra(one)[0] for one in request.scaling()] or [found]
    every = [one.density for part in scaling for row in part for one in row]
    floor, scaled, height = density_floor(every), eigenvalue_axis(every), density_axis(every)
    rows = []
    for r, row in enumerate(found):
        x = replace(scaled, label=f"eigenvalue of the {matrix}" if r == len(found) - 1 else "")
        ys = [replace(height, label="" if c else "density") for c in range(len(row))]
        rows.append([one.panel(colour(r), floor, x, y) for one, y in zip(row, ys, strict=True)])
    title, style = f"{matrix}: spectrum, class by class", {"fontsize": 6.5, "linespacing": 1.2}
    size, pixels = (PAGE, 1.75 * len(rows) + 0.25), 320 * len(rows) + 80
    return Chart(rows, title, size, pixels, share_y="row", title_style=style)


def _default_scopes(records: Sequence[Spectrum]) -> tuple[str, ...]:
    """Choose overall, head and tail, or else a head class and a tail class, that every run has.

    Where the runs have no scope in common, those of any are shown.
    """
    others = [set(map(str, record.scope)) for record in records]
    every = list(dict.fromkeys(str(name) for record in records for name in record.scope))
    names = [name for name in every if all(name in other for other in others)] or every
    classes = sorted((n for n in names if n.startswith("class/")), key=lambda n: int(n[6:]))
    groups = [name for name in ("head", "tail") if name in names]
    ends = groups if len(groups) == 2 else dict.fromkeys([*classes[:1], *classes[-1:]])
    return tuple(name for name in ("overall", *ends) if name in names) or tuple(names[:3])


def _row(one: Snapshot[Spectrum], scopes: Sequence[str]) -> list[ScopeSpectrum]:
    shares, data = one.run.judged(one.origin.checkpoint)
    known = {scope: f"{data} accuracy {percent(share)}" for scope, share in shares.items()}
    return [_scope(one, scope, known.get(scope, "")) for scope in scopes]


def _scope(one: Snapshot[Spectrum], scope: str, accuracy: str) -> ScopeSpectrum:
    if scope not in set(map(str, one.record.scope)):
        title = f"{one.label}: {one.scope_label(scope)}"
        return ScopeSpectrum(title, None, [], "", "not diagnosed")
    record, at = one.record, one.record.index(scope)
    words = [str(record.verdict[at]), accuracy]  # no verdict for another matrix than the Hessian
    high, low = record.end_texts(at)
    text = [
        f"λmax {high}",
        f"λmin {low}",
        f"trace {with_error(record.trace[at], record.trace_sem[at])}",
        _negative(record, at),
    ]
    heads = f"{one.label}: {one.scope_label(scope)}", ", ".join(filter(None, words))
    title, said = ("\n".join(filter(None, part)) for part in (heads, text))
    return ScopeSpectrum(title, density_of(record, at), ends_of(record, at), said)


def _negative(record: Spectrum, at: int) -> str:
    """Say how many eigenvalues are proved negative, and how few at 99 % are so by a hundredth."""
    if np.isnan(record.negative_directions[at]):
        return ""
    count = f"{record.negative_directions[at]:.0f}"
    return f"λ < 0: ≥ {count} proved\n{far_label()}: {far_negative(record, at)}"
