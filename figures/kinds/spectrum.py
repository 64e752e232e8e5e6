"""Eigenvalue density of the Hessian, or of option ``matrix``: rows are runs, columns scopes.

Log density against eigenvalue, the band being the spread over probes; λmax, λmin and the trace with
their errors, the accuracy and the verdict stand in each panel.
"""

from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from plotly.subplots import make_subplots

from figures.output import COLOURS, PAGE, paper_style, write_figure
from figures.request import Request
from figures.runs.labels import one_matrix, run_labels, scope_label
from landscape.results import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.density import Density
from landscape.results.provenance import Provenance
from landscape.results.spectrum import Spectrum

_FLOOR = 1e-7  # of the highest possible density; the papers add 1e-7 to the density they plot


@dataclass(frozen=True)
class Panel:
    """One run and one scope."""

    run: str
    scope: str
    density: Density | None  # None where no Ritz value is finite
    text: str
    matrix: str  # its name


def panels(request: Request) -> list[list[Panel]]:
    """Read the panels of a request, a row a run.

    Raises:
        InputError: a run lacks the result, or the result the scope.
    """
    runs = request.spectrum_runs()
    loaded = [run.load(Spectrum, request.checkpoint) for run in runs]
    matrix = one_matrix([provenance for _, provenance in loaded]).name
    labels = run_labels([provenance for _, provenance in loaded], runs)
    rows = []
    scopes = request.scopes or _default_scopes([record for record, _ in loaded])
    for run, label, (record, provenance) in zip(runs, labels, loaded, strict=True):
        judged = run.find(Accuracy, provenance.checkpoint)
        shares = judged.by_scope() if judged is not None else {}
        rows.append([_panel(label, s, record, provenance, shares, matrix) for s in scopes])
    return rows


def draw(request: Request) -> Figure:
    """Draw the figure for paper, page width."""
    rows = panels(request)
    height = 2.1 * len(rows) + 0.25
    figure, axes = plt.subplots(
        len(rows), len(rows[0]), figsize=(PAGE, height), squeeze=False, sharey=True
    )
    floor, ceiling = _limits(rows)
    for r, row in enumerate(rows):
        for c, panel in enumerate(row):
            _draw_panel(axes[r, c], panel, COLOURS[r % len(COLOURS)], floor)
            axes[r, c].set_ylim(floor / 1.5, ceiling)
            if c == 0:
                axes[r, c].set_ylabel("density")
            if r == len(rows) - 1:
                axes[r, c].set_xlabel(f"eigenvalue of the {panel.matrix}")
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    rows = panels(request)
    floor, _ = _limits(rows)
    matrix = rows[0][0].matrix
    titles = [f"{p.run}: {p.scope}" for row in rows for p in row]
    figure = make_subplots(len(rows), len(rows[0]), subplot_titles=titles, shared_yaxes=True)
    for r, row in enumerate(rows, 1):
        for c, panel in enumerate(row, 1):
            colour = COLOURS[(r - 1) % len(COLOURS)]
            for trace in _traces(panel, colour, floor):
                figure.add_trace(trace, r, c)
            figure.add_annotation(
                text=panel.text.replace("\n", "<br>"),
                align="right",
                showarrow=False,
                bgcolor="rgba(255,255,255,0.75)",  # a symmetric spectrum peaks behind the text
                xref="x domain",
                yref="y domain",
                x=1,
                y=1,
                row=r,
                col=c,
            )
    figure.update_yaxes(type="log", exponentformat="power")
    figure.update_yaxes(title_text="density", col=1)
    figure.update_xaxes(title_text=f"eigenvalue of the {matrix}", row=len(rows))
    title = f"{matrix}: spectrum, class by class"
    figure.update_layout(height=320 * len(rows) + 80, showlegend=False, title=title)
    return figure


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "spectrum", folder)


def _default_scopes(records: list[Spectrum]) -> tuple[str, ...]:
    """Overall, a head class and a tail class, of those that every run has.

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


def _panel(
    label: str,
    scope: str,
    record: Spectrum,
    provenance: Provenance,
    shares: dict[str, float],
    matrix: str,
) -> Panel:
    at = record.index(scope)
    words = [str(record.verdict[at])]  # empty for another matrix than the Hessian
    if scope in shares:
        words.append(f"accuracy {100 * shares[scope]:.1f} %")
    lines = [
        f"λmax {record.lambda_max[at]:.3g} ± {record.lambda_max_bound[at]:.2g}",
        f"λmin {record.lambda_min[at]:.3g} ± {record.lambda_min_bound[at]:.2g}",
        f"trace {record.trace[at]:.3g} ± {record.trace_sem[at]:.2g}",
        ", ".join(filter(None, words)),
    ]
    name = scope_label(scope, provenance.config)
    density = record.density(scope) if np.isfinite(record.ritz_values[at]).any() else None
    return Panel(label, name, density, "\n".join(lines), matrix)


def _limits(rows: list[list[Panel]]) -> tuple[float, float]:
    """One density scale for all panels."""
    known = [p.density for row in rows for p in row if p.density is not None]
    peaks = [1 / (density.sigma * np.sqrt(2 * np.pi)) for density in known] or [1.0]
    return _FLOOR * min(peaks), 3 * max(peaks)


def _draw_panel(axes: Axes, panel: Panel, colour: str, floor: float) -> None:
    axes.set_title(f"{panel.run}: {panel.scope}\n{panel.text}", fontsize=6, linespacing=1.3)
    axes.set_yscale("log")
    density = panel.density
    if density is None:
        axes.text(0.5, 0.5, "no finite value", transform=axes.transAxes, ha="center")
        return
    axes.fill_between(
        density.grid, density.low + floor, density.high + floor, color=colour, alpha=0.3, lw=0
    )
    axes.plot(density.grid, density.mean + floor, color=colour, lw=0.9)
    axes.axvline(0, color="0.6", lw=0.5, zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(5))


def _traces(panel: Panel, colour: str, floor: float) -> list[go.Scatter]:
    density = panel.density
    if density is None:
        return []
    band = go.Scatter(
        x=np.concatenate([density.grid, density.grid[::-1]]),
        y=np.concatenate([density.high, density.low[::-1]]) + floor,
        fill="toself",
        fillcolor=colour,
        opacity=0.25,
        line={"width": 0},
        hoverinfo="skip",
    )
    line = go.Scatter(
        x=density.grid,
        y=density.mean + floor,
        line={"color": colour, "width": 1.5},
        hovertemplate="eigenvalue %{x:.4g}<br>density %{y:.3g}<extra></extra>",
    )
    return [band, line]
