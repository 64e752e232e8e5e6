"""Draw class-by-class matrices as coloured cells, for paper and page; missing cells are grey."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from figures.charts.panel import Style
from landscape.results.fields import Array


@dataclass(frozen=True)
class ClassMatrix:
    """The matrix of one run."""

    title: str
    names: list[str]  # (K,) of the classes
    ticks: list[str]  # (K,) short
    values: Array  # (K, K) NaN where there is nothing to say
    every: int  # class that has a tick

    @property
    def shown(self) -> range:
        """The classes that have a tick."""
        return range(0, len(self.ticks), self.every)


def draw_matrix(axes: Axes, matrix: ClassMatrix, grey: str, **style: Any) -> AxesImage:
    """Draw the cells for paper, with ticks.

    Args:
        axes: where to.
        matrix: the values.
        grey: of missing cells.
        style: colour map and its ends.
    """
    image = axes.imshow(np.ma.masked_invalid(matrix.values), **style)
    axes.set_facecolor(grey)
    ticks = [matrix.ticks[k] for k in matrix.shown]
    axes.set_xticks(matrix.shown, ticks, rotation=90 if max(map(len, ticks)) > 2 else 0)
    axes.set_yticks(matrix.shown, ticks)
    return image


def add_matrix(
    figure: go.Figure,
    matrix: ClassMatrix,
    labels: tuple[str, str],
    row: int,
    column: int,
    **hover: Any,
) -> None:
    """Add the cells to a page, whose colour axis they share.

    Args:
        figure: the page.
        matrix: the values.
        labels: of the axes; empty for none.
        row: of the panel.
        column: likewise.
        hover: further fields of the trace.
    """
    cells: Style = {"z": matrix.values, "coloraxis": "coloraxis", "hoverongaps": False}
    figure.add_trace(go.Heatmap(x=matrix.names, y=matrix.names, **cells, **hover), row, column)
    places, texts = ([names[k] for k in matrix.shown] for names in (matrix.names, matrix.ticks))
    ticks: Style = {"tickvals": places, "ticktext": texts, "constrain": "domain"}
    for update, label in zip((figure.update_xaxes, figure.update_yaxes), labels, strict=True):
        update(**ticks, **({"title_text": label} if label else {}), row=row, col=column)
    figure.update_yaxes(autorange="reversed", row=row, col=column)
