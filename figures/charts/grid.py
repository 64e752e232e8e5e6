"""Panels in a grid, one a run, and what is marked on each."""

from typing import Any

import matplotlib.pyplot as plt
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from figures.output import PAGE


def mark_reweighting(axes: Axes, epoch: int | None, *, named: bool = True) -> None:
    """Mark the epoch at which deferred re-weighting begins, where it does."""
    if epoch is None:
        return
    axes.axvline(epoch, color="0.5", ls=":", lw=0.8)
    if named:
        style: dict[str, Any] = {"ha": "right", "va": "top", "fontsize": 6, "color": "0.35"}
        axes.text(epoch, 1, "re-weighting ", transform=axes.get_xaxis_transform(), **style)


def grid_shape(count: int) -> tuple[int, int]:
    """Rows and columns of ``count`` panels, at most three side by side."""
    columns = 2 if count == 4 else min(count, 3)
    return -(-count // columns), columns


def panel_grid(
    count: int, size: float, *, below: float = 0.6, width: float = PAGE, sharey: bool = True
) -> tuple[Figure, list[Axes]]:
    """Lay out one panel a run.

    Args:
        count: how many.
        size: height of a row in inches.
        below: height left for a legend in inches.
        width: of the figure in inches.
        sharey: one vertical scale for all.
    """
    rows, columns = grid_shape(count)
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, size * rows + below), squeeze=False, sharey=sharey
    )
    for spare in axes.flat[count:]:
        spare.set_visible(False)
    return figure, list(axes.flat[:count])


def page_grid(titles: list[str]) -> go.Figure:
    """Lay out the panels of a page as :func:`panel_grid` does."""
    rows, columns = grid_shape(len(titles))
    figure = make_subplots(
        rows, columns, subplot_titles=titles, shared_yaxes="all", vertical_spacing=0.25 / rows
    )
    return figure.update_layout(height=400 * rows + 80)
