"""Lay out panels in a grid, on paper and on the page."""

from collections.abc import Sequence
from typing import Any, TypeVar

import matplotlib.pyplot as plt
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

Cell = TypeVar("Cell")


def split_rows(panels: Sequence[Cell]) -> list[list[Cell]]:
    """Arrange panels in rows, at most three side by side.

    Args:
        panels: one a run, in order.
    """
    columns = 2 if len(panels) == 4 else min(len(panels), 3)
    return [list(panels[at : at + columns]) for at in range(0, len(panels), columns)]


def paper_grid(
    rows: Sequence[Sequence[Any]], size: tuple[float, float], **style: Any
) -> tuple[Figure, list[list[Axes]]]:
    """Lay out the panels of a figure for paper.

    Args:
        rows: panels; some rows may be shorter.
        size: width and height in inches.
        style: further arguments of :func:`matplotlib.pyplot.subplots`.

    Returns:
        The figure and the axes of each row.
    """
    columns = max(map(len, rows))
    figure, axes = plt.subplots(len(rows), columns, figsize=size, squeeze=False, **style)
    for places, row in zip(axes, rows, strict=True):
        for spare in places[len(row) :]:
            spare.set_visible(False)
    return figure, [list(places[: len(row)]) for places, row in zip(axes, rows, strict=True)]


def page_grid(rows: Sequence[Sequence[Any]], titles: Sequence[str], **style: Any) -> go.Figure:
    """Lay out the panels of a page.

    Args:
        rows: panels; some rows may be shorter.
        titles: of the panels, row by row.
        style: further arguments of :func:`plotly.subplots.make_subplots`.
    """
    return make_subplots(len(rows), max(map(len, rows)), subplot_titles=list(titles), **style)
