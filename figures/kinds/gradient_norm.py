"""Norm of each class's gradient, relative to that of the average over classes, over training.

One line a class, coloured from head to tail; the paper's figure is PLOT's supplement, Fig. 6.
"""

from pathlib import Path

import plotly.graph_objects as go
from matplotlib.figure import Figure

from figures.charts.class_lines import Panel, class_panels, draw_lines, page_lines
from figures.output import paper_style, write_figure
from figures.request import Request

_LABEL = "norm of the class's gradient /\nnorm of the average over classes"


def panels(request: Request) -> list[Panel]:
    """Read the norm ratios of every run.

    Raises:
        InputError: see :func:`class_panels`.
    """
    return class_panels(request, lambda record: record.norm_ratio)


def draw(request: Request) -> Figure:
    """Draw the figure for paper, page width, one panel a run on one scale."""
    return draw_lines(panels(request), _LABEL, level=1, log=True)


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    label = _LABEL.replace("\n", "<br>")
    return page_lines(panels(request), label, "Gradient norms over training", log=True)


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "gradient-norm", folder)
