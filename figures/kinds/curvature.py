"""λmax, λmin and trace against epoch: rows are quantities, columns runs, one line a class.

Bars are the intervals that hold an eigenvalue, and the standard error of the trace. Values spread
over decades as a network fits, so axes are logarithmic, and linear around 0 where a row reaches it.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from figures.charts.scope_lines import History, Panel, Read, add_curves, draw_curves, histories
from figures.output import PAGE, paper_style, write_figure
from figures.request import Request
from landscape.results.spectrum import Spectrum

_ROWS = {
    "λmax": ("lambda_max", "lambda_max_bound"),
    "λmin": ("lambda_min", "lambda_min_bound"),
    "trace": ("trace", "trace_sem"),
}


def panels(request: Request) -> dict[str, list[Panel]]:
    """Read the curves of every quantity, a panel a run.

    Raises:
        InputError: a run has no spectrum of any epoch.
    """
    return _panels(histories(request))


def draw(request: Request) -> Figure:
    """Draw the figure for paper, page width, each row on one scale."""
    found = histories(request)
    rows = _panels(found)
    figure, axes = plt.subplots(
        len(rows),
        len(found),
        figsize=(PAGE, 1.7 * len(rows) + 0.7),
        squeeze=False,
        sharex=True,
        sharey="row",
    )
    for places, (name, row) in zip(axes, rows.items(), strict=True):
        for place, panel in zip(places, row, strict=True):
            draw_curves(place, panel, named=name == next(iter(rows)))
        _set_scale(places[0], row)
        places[0].set_ylabel(name)
    for place, history in zip(axes[0], found, strict=True):
        place.set_title(history.run)
    for place in axes[-1]:
        place.set_xlabel("epoch")
    if not found[0].matrix.is_hessian:
        figure.suptitle(f"of the {found[0].matrix.name}", fontsize=8)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6))
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    found = histories(request)
    rows = _panels(found)
    figure = make_subplots(
        len(rows),
        len(found),
        subplot_titles=[history.run for history in found],
        shared_xaxes=True,
        shared_yaxes=True,
        vertical_spacing=0.05,
    )
    for r, (name, row) in enumerate(rows.items(), 1):
        for column, panel in enumerate(row, 1):
            add_curves(figure, panel, r, column)
        figure.update_yaxes(title_text=name, row=r, col=1)
        if _known(row).min(initial=np.inf) > 0:
            figure.update_yaxes(type="log", row=r)
    figure.update_xaxes(title_text="epoch", row=len(rows))
    title = f"{found[0].matrix.name}: ends and trace over training"
    figure.update_layout(height=260 * len(rows) + 80, title=title)
    return figure


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "curvature", folder)


def _panels(found: list[History]) -> dict[str, list[Panel]]:
    return {
        name: [history.panel(_reader(*own)) for history in found] for name, own in _ROWS.items()
    }


def _reader(value: str, error: str) -> Read:
    def read(record: Spectrum, at: int) -> tuple[float, float]:
        return float(getattr(record, value)[at]), float(getattr(record, error)[at])

    return read


def _set_scale(axes: Axes, row: list[Panel]) -> None:
    """Leave no room for a sign that no value of the row has."""
    values = _known(row)
    if values.size == 0 or not values.any():
        return
    if values.min() > 0:
        axes.set_yscale("log")
        return
    sizes = np.abs(values[values != 0])
    axes.set_yscale("symlog", linthresh=max(sizes.min(), sizes.max() / 1e5), linscale=1)
    if values.max() <= 0:
        axes.set_ylim(2 * values.min(), 0)


def _known(row: list[Panel]) -> NDArray[np.float64]:
    """Values of a row that are finite."""
    values = np.concatenate([curve.value for panel in row for curve in panel.curves])
    return values[np.isfinite(values)]
