"""Draw the eigenvalue density of the Hessian, or of option ``matrix``.

Rows are runs, columns scopes: the log density against the eigenvalue, with the spread over probes
as a band, on one axis for all panels, which is linear around 0 and logarithmic beyond, so that the
negative side is seen. Both ends are marked with their brackets; these, the trace with its error,
what is proved of the negative side, the accuracy and the verdict stand in each panel.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    ends: list[tuple[float, float, float]]  # λmin and λmax: value and bracket
    text: str

    def panel(self, colour: str, floor: float, x: Axis, y: Axis) -> Panel:
        """Describe the panel; no density is drawn below the floor."""
        lines = []
        if self.density is not None:
            marks = [_mark(*end, floor) for end in self.ends if np.isfinite(end[0])]
            lines = [_line(self.density, colour, floor), *marks]
        said: Style = {"caption": self.text, "empty": "no finite value"}
        said["page_title"] = self.title.replace("\n", "<br>")
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
    rows, scaled = [], _eigenvalue_axis([one.density for row in found for one in row])
    for r, row in enumerate(found):
        x = replace(scaled, label=f"eigenvalue of the {matrix}" if r == len(found) - 1 else "")
        ends: Style = {"scale": "log", "limits": (floor / 1.5, ceiling), "page": POWERS}
        ys = [Axis("" if c else "density", **ends) for c in range(len(row))]
        rows.append([one.panel(colour(r), floor, x, y) for one, y in zip(row, ys, strict=True)])
    title, style = f"{matrix}: spectrum, class by class", {"fontsize": 6.5, "linespacing": 1.2}
    size, height = (PAGE, 1.75 * len(rows) + 0.25), 320 * len(rows) + 80
    return Chart(rows, title, size, height, share_y="row", title_style=style)


def _default_scopes(records: Sequence[Spectrum]) -> tuple[str, ...]:
    """Choose overall, head and tail, or else a head class and a tail class, that every run has.

    Raises:
        InputError: the runs have no scope in common.
    """
    others = [set(map(str, record.scope)) for record in records]
    names = [str(name) for name in records[0].scope if all(str(name) in o for o in others)]
    if not names:
        raise InputError("these runs have no scope in common; diagnose them with the same --scopes")
    classes = [name for name in names if name.startswith("class/")]
    groups = [name for name in ("head", "tail") if name in names]
    ends = groups if len(groups) == 2 else dict.fromkeys([*classes[:1], *classes[-1:]])
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
    ]
    density = record.density(scope) if np.isfinite(record.ritz_values[at]).any() else None
    brackets = record.lambda_min_bracket[at], record.lambda_max_bracket[at]
    values = record.lambda_min[at], record.lambda_max[at]
    pairs = zip(values, brackets, strict=True)
    ends = [(float(v), float(low), float(high)) for v, (low, high) in pairs]
    heads = f"{one.label}: {one.scope_label(scope)}", ", ".join(filter(None, words))
    title, said = ("\n".join(filter(None, part)) for part in (heads, text))
    return ScopeSpectrum(title, density, ends, said)


def _negative(record: Spectrum, at: int) -> str:
    """Say how many eigenvalues are proved negative, and how few at 99 % are so by a hundredth."""
    if np.isnan(record.negative_directions[at]):
        return ""
    size = max(abs(record.lambda_min[at]), abs(record.lambda_max[at]))
    _, _, (share,) = record.cumulative(str(record.scope[at]), np.array([-0.01 * size]))
    count = f"{record.negative_directions[at]:.0f}"
    return f"λ < 0: ≥ {count} proved\nλ < -0.01 max|λ|: ≤ {100 * share:.2g} %"


def _eigenvalue_axis(found: Sequence[Density | None]) -> Axis:
    """Choose one axis of eigenvalues for all panels, linear up to a hundredth of the largest."""
    known = [density for density in found if density is not None]
    if not known:
        return Axis()
    low = min(float(density.grid[0]) for density in known)
    high = max(float(density.grid[-1]) for density in known)
    power = np.floor(np.log10(max(-low, high)))
    powers = 10.0 ** np.arange(power - 2, power + 1)
    ticks = [-t for t in powers[::-1] if t <= -low] + [0.0] + [t for t in powers if t <= high]
    labels = [f"{tick:g}" for tick in ticks]
    edges = (min(low, 0.0), max(high, 0.0))
    scale: Style = {"scale": "symlog", "threshold": float(powers[0]), "limits": edges}
    return Axis(ticks=(ticks, labels), page={"range": edges}, **scale)


def _limits(found: Sequence[Density | None]) -> tuple[float, float]:
    """Choose one density scale for all panels."""
    known = [density for density in found if density is not None]
    peaks = [1 / (density.sigma * np.sqrt(2 * np.pi)) for density in known] or [1.0]
    return _FLOOR * min(peaks), 100 * max(peaks)  # above the peak there is room for the text


def _line(density: Density, colour: str, floor: float) -> Line:
    return Line(
        "density",
        density.grid,
        np.where(density.mean > floor, density.mean, np.nan),
        colour,
        band=(np.maximum(density.low, floor), np.maximum(density.high, floor)),
        shade=(0.3, 0.25),
        width=0.9,
        page_width=1.5,
        hover=_HOVER,
        key="none",
    )


def _mark(value: float, low: float, high: float, floor: float) -> Line:
    """Mark an end of the spectrum with its bracket, above the axis."""
    bars = np.nan_to_num(np.array([[value - low], [high - value]]), posinf=0.0).clip(min=0)
    height = np.array([2 * floor])
    ticked: Style = {"marker": ("|", "line-ns-open"), "joined": False, "x_error": bars, "cap": 2}
    hover = "%{x:.4g}<extra></extra>"
    return Line("end", np.array([value]), height, "#333333", hover=hover, key="none", **ticked)
