"""|λmin/λmax| against epoch, one line a class; bars follow from the bounds of both ends.

The ratio is 0 where λmin is not negative. The epoch at which deferred re-weighting begins is
marked.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import plotly.graph_objects as go
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from figures.charts.scope_lines import Panel, add_curves, draw_curves, histories
from figures.output import PAGE, paper_style, write_figure
from figures.request import Request
from landscape.results.spectrum import Spectrum

_LABEL = "|λmin / λmax|"


def panels(request: Request) -> list[Panel]:
    """Read the curves of every run.

    Raises:
        InputError: a run has no spectrum of any epoch.
    """
    return [history.panel(_ratio) for history in histories(request)]


def draw(request: Request) -> Figure:
    """Draw the figure for paper, page width, one panel a run on one scale."""
    found, label = panels(request), _label(request)
    columns = min(len(found), 3)
    rows = -(-len(found) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(PAGE, 2.1 * rows + 0.6), squeeze=False, sharey=True
    )
    for place, panel in zip(axes.flat, found, strict=False):
        draw_curves(place, panel)
        place.set_title(panel.run)
        place.set_xlabel("epoch")
        place.set_ylim(bottom=0)
    for place in axes.flat[len(found) :]:
        place.set_visible(False)
    for row in axes:
        row[0].set_ylabel(label)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6))
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    found = panels(request)
    figure = make_subplots(1, len(found), subplot_titles=[p.run for p in found], shared_yaxes=True)
    for column, panel in enumerate(found, 1):
        add_curves(figure, panel, 1, column)
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text=_label(request), col=1)
    figure.update_layout(height=480, title="Non-convexity over training")
    return figure


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "nonconvexity", folder)


def _label(request: Request) -> str:
    matrix = histories(request)[0].matrix
    return _LABEL if matrix.is_hessian else f"{_LABEL} of the {matrix.name}"


def _ratio(record: Spectrum, at: int) -> tuple[float, float]:
    """Ratio, and how far the bounds of both ends let it be off."""
    ratio, low, high = record.nonconvexity[at], record.lambda_min[at], abs(record.lambda_max[at])
    below = max(record.lambda_min_bound[at] - max(low, 0.0), 0.0)
    return ratio, (below + ratio * record.lambda_max_bound[at]) / high
