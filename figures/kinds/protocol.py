"""The released Saddle-LongTail protocol against the exact spectrum, on one checkpoint.

Left: λmin of every scope by both, the exact one with its interval. Right: the two densities of
chosen scopes on one axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from figures.output import COLOURS, PAGE, paper_style, write_figure
from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.labels import run_labels, scope_label
from landscape.results import InputError
from landscape.results.density import Density
from landscape.results.load import read_record
from landscape.results.provenance import Provenance
from landscape.results.spectrum import Spectrum

_FLOOR = 1e-7
_NAMES = ("exact", "released protocol")


@dataclass(frozen=True)
class Comparison:
    """Both analyses of one run."""

    run: str
    origin: Provenance  # of the exact one
    labels: list[str]  # of the scopes
    ratios: tuple[NDArray[np.float64], NDArray[np.float64]]  # λmin/λmax, exact and released
    errors: NDArray[np.float64]  # half-width of the exact one
    densities: list[tuple[str, Density | None, Density | None]]  # None: no finite Ritz value


def comparison(run: RunResults, request: Request) -> Comparison:
    """Read both analyses of a run.

    Raises:
        InputError: one is missing; the message gives the command that makes it.
    """
    exact, provenance = run.load(Spectrum, request.checkpoint)
    path = run.path / "results" / "spectrum-saddle" / f"{provenance.checkpoint}.h5"
    if not path.is_file():
        raise InputError(
            f"'{run.path}' has no released-protocol spectrum of {provenance.checkpoint}; run "
            f"'tailscape diagnose {run.path} --protocol saddle --analyses spectrum'"
        )
    released, _ = read_record(path, Spectrum)
    scopes = [str(s) for s in exact.scope if str(s) in set(map(str, released.scope))]
    a, b = [exact.index(s) for s in scopes], [released.index(s) for s in scopes]
    low, high = exact.lambda_min[a], exact.lambda_max[a]
    classes = [s for s in scopes if s.startswith("class/")]
    shown = request.scopes or tuple(dict.fromkeys([*classes[:1], *classes[-1:]])) or (scopes[0],)
    (label,) = run_labels([provenance])
    return Comparison(
        label,
        provenance,
        [scope_label(s, provenance.config) for s in scopes],
        (low / high, released.lambda_min[b] / released.lambda_max[b]),
        (exact.lambda_min_bound[a] + abs(low / high) * exact.lambda_max_bound[a]) / abs(high),
        [
            (scope_label(s, provenance.config), _density(exact, s), _density(released, s))
            for s in shown
        ],
    )


def _comparisons(request: Request) -> list[Comparison]:
    found = [comparison(run, request) for run in request.runs]
    labels = run_labels([one.origin for one in found], request.runs)
    return [replace(one, run=label) for one, label in zip(found, labels, strict=True)]


def _density(record: Spectrum, scope: str) -> Density | None:
    known = np.isfinite(record.ritz_values[record.index(scope)]).any()
    return record.density(scope) if known else None


def draw(request: Request) -> Figure:
    """Draw the figure for paper, page width, a row a run."""
    found = _comparisons(request)
    columns = 1 + max(len(c.densities) for c in found)
    figure, axes = plt.subplots(
        len(found),
        columns,
        figsize=(PAGE, 2.4 * len(found) + 0.2),
        squeeze=False,
        width_ratios=[1.3, *[1] * (columns - 1)],
    )
    for row, one in zip(axes, found, strict=True):
        _draw_ratios(row[0], one)
        for place, (label, *densities) in zip(row[1:], one.densities, strict=False):
            _draw_densities(place, label, densities)
        row[1].set_ylabel("density")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure


def _draw_ratios(axes: Axes, one: Comparison) -> None:
    places = np.arange(len(one.labels))
    axes.errorbar(
        one.ratios[0], places, xerr=one.errors, fmt="o", color=COLOURS[0], label=_NAMES[0]
    )
    axes.plot(one.ratios[1], places, "x", color=COLOURS[1], label=_NAMES[1])
    axes.axvline(0, color="0.6", lw=0.5, zorder=0)
    axes.set_yticks(places, one.labels)
    axes.invert_yaxis()
    axes.set_xlabel("λmin / λmax")
    axes.set_title(one.run)


def _draw_densities(axes: Axes, label: str, densities: Sequence[Density | None]) -> None:
    for density, colour, style in zip(densities, COLOURS, ("-", "--"), strict=False):
        if density is not None:
            floor = _FLOOR / density.sigma
            axes.plot(density.grid, density.mean + floor, style, color=colour, lw=0.9)
    if any(density is not None for density in densities):
        axes.set_yscale("log")
    else:
        axes.text(0.5, 0.5, "no finite value", transform=axes.transAxes, ha="center")
    axes.set_title(label)
    axes.set_xlabel("eigenvalue of the Hessian")


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    found = _comparisons(request)
    columns = 1 + max(len(c.densities) for c in found)
    figure = make_subplots(len(found), columns)
    for r, one in enumerate(found, 1):
        for k in range(2):
            error = {"array": one.errors} if k == 0 else None
            figure.add_trace(
                go.Scatter(
                    x=one.ratios[k],
                    y=one.labels,
                    error_x=error,
                    mode="markers",
                    name=_NAMES[k],
                    showlegend=r == 1,
                    marker={"color": COLOURS[k], "symbol": ("circle", "x")[k]},
                ),
                r,
                1,
            )
        figure.update_xaxes(title_text=f"λmin / λmax, {one.run}", row=r, col=1)
        figure.update_yaxes(autorange="reversed", row=r, col=1)
        for c, (label, *densities) in enumerate(one.densities, 2):
            for k, density in enumerate(densities):
                if density is None:
                    continue
                line = {"color": COLOURS[k], "dash": ("solid", "dash")[k]}
                height = density.mean + _FLOOR / density.sigma
                trace = go.Scatter(x=density.grid, y=height, line=line, showlegend=False)
                figure.add_trace(trace, r, c)
            figure.update_xaxes(title_text=f"eigenvalue of the Hessian, {label}", row=r, col=c)
            figure.update_yaxes(type="log", exponentformat="power", row=r, col=c)
    figure.update_layout(height=380 * len(found) + 80, title="Exact against the released protocol")
    return figure


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "protocol", folder)
