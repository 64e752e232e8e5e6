"""The released Saddle-LongTail protocol against the exact spectrum, on one checkpoint.

Left: λmin of every scope by both, the exact one with its interval. Right: the two densities of
chosen scopes on one axis.
"""

from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from figures.output import COLOURS, PAGE, paper_style, write_figure
from figures.runs import Request, RunResults, run_labels, scope_label
from landscape.results import Density, InputError, Spectrum, load

_FLOOR = 1e-7
_NAMES = ("exact", "released protocol")


@dataclass(frozen=True)
class Comparison:
    """Both analyses of one run."""

    run: str
    labels: list[str]  # of the scopes
    ratios: tuple[NDArray[np.float64], NDArray[np.float64]]  # λmin/λmax, exact and released
    errors: NDArray[np.float64]  # half-width of the exact one
    densities: list[tuple[str, Density, Density]]


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
    released, _ = load(path, Spectrum)
    scopes = [str(s) for s in exact.scope if str(s) in set(map(str, released.scope))]
    a, b = [exact.index(s) for s in scopes], [released.index(s) for s in scopes]
    low, high = exact.lambda_min[a], exact.lambda_max[a]
    classes = [s for s in scopes if s.startswith("class/")]
    shown = request.scopes or tuple(dict.fromkeys([*classes[:1], *classes[-1:]])) or (scopes[0],)
    (label,) = run_labels([provenance])
    return Comparison(
        label,
        [scope_label(s, provenance.config) for s in scopes],
        (low / high, released.lambda_min[b] / released.lambda_max[b]),
        (exact.lambda_min_bound[a] + abs(low / high) * exact.lambda_max_bound[a]) / abs(high),
        [(scope_label(s, provenance.config), exact.density(s), released.density(s)) for s in shown],
    )


def draw(request: Request) -> Figure:
    """Draw the figure for paper, page width, a row a run."""
    found = [comparison(run, request) for run in request.runs]
    columns = 1 + max(len(c.densities) for c in found)
    figure, axes = plt.subplots(
        len(found),
        columns,
        figsize=(PAGE, 2.4 * len(found) + 0.2),
        squeeze=False,
        width_ratios=[1.3, *[1] * (columns - 1)],
    )
    for row, one in zip(axes, found, strict=True):
        places = np.arange(len(one.labels))
        row[0].errorbar(
            one.ratios[0], places, xerr=one.errors, fmt="o", color=COLOURS[0], label=_NAMES[0]
        )
        row[0].plot(one.ratios[1], places, "x", color=COLOURS[1], label=_NAMES[1])
        row[0].axvline(0, color="0.6", lw=0.5, zorder=0)
        row[0].set_yticks(places, one.labels)
        row[0].invert_yaxis()
        row[0].set_xlabel("λmin / λmax")
        row[0].set_title(one.run)
        for place, (label, *densities) in zip(row[1:], one.densities, strict=False):
            for density, colour, style in zip(densities, COLOURS, ("-", "--"), strict=False):
                floor = _FLOOR / density.sigma
                place.plot(density.grid, density.mean + floor, style, color=colour, lw=0.9)
            place.set_yscale("log")
            place.set_title(label)
            place.set_xlabel("eigenvalue")
        row[1].set_ylabel("density")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    found = [comparison(run, request) for run in request.runs]
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
                line = {"color": COLOURS[k], "dash": ("solid", "dash")[k]}
                height = density.mean + _FLOOR / density.sigma
                trace = go.Scatter(x=density.grid, y=height, line=line, showlegend=False)
                figure.add_trace(trace, r, c)
            figure.update_xaxes(title_text=f"eigenvalue, {label}", row=r, col=c)
            figure.update_yaxes(type="log", exponentformat="power", row=r, col=c)
    figure.update_layout(height=380 * len(found) + 80, title="Exact against the released protocol")
    return figure


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "protocol", folder)
