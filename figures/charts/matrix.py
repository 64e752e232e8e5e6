"""Draw class-by-class matrices as coloured cells, for paper and page; missing cells are grey."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from figures.charts.panel import Style
from landscape.results.fields import Array

_MOST_EXACT = 200  # classes whose page has every digit


@dataclass(frozen=True)
class ClassMatrix:
    """The matrix of one run."""

    title: str
    names: list[str]  # (K,) of the classes
    ticks: list[str]  # (K,) short
    values: Array  # (K, K) NaN where there is nothing to say
    every: int  # class that has a tick
    told: Array | None  # (K, K) further number of each cell, for the page

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


def add_matrices(
    figure: go.Figure,
    rows: Sequence[Sequence[ClassMatrix]],
    labels: tuple[str, str],
    hover: str,
    colours: Style,
) -> None:
    """Add the cells to a page, on one colour scale.

    Matrices of many classes are stored in hundredths, a byte a cell, without their classes that
    have no value.

    Args:
        figure: the page.
        rows: the matrices, as they stand on the page.
        labels: of the axes; empty for none.
        hover: plotly's template; ``{}`` stands for the value, and the cells' own numbers are the
            ``customdata``.
        colours: the colour axis, with the ends of its scale.
    """
    unit = 100 if any(len(one.names) > _MOST_EXACT for row in rows for one in row) else 1
    said = hover.replace("{}", "%{z} hundredths" if unit == 100 else "%{z:.3f}")
    for r, row in enumerate(rows, 1):
        for c, matrix in enumerate(row, 1):
            _add_matrix(figure, _compact(matrix) if unit == 100 else matrix, labels, said, (r, c))
    ends = {name: unit * colours[name] for name in ("cmin", "cmax")}
    ticks = np.linspace(colours["cmin"], colours["cmax"], 5)
    bar = {"tickvals": (unit * ticks).tolist(), "ticktext": [f"{t:g}" for t in ticks]}
    figure.update_layout(coloraxis=colours | ends, coloraxis_colorbar=bar)


def _compact(matrix: ClassMatrix) -> ClassMatrix:
    """Round to hundredths, and leave out classes without a value."""
    kept = np.flatnonzero(np.isfinite(np.diag(matrix.values)))
    cells = np.nan_to_num(100 * matrix.values[np.ix_(kept, kept)]).round().astype(np.int8)
    names, ticks = ([texts[k] for k in kept] for texts in (matrix.names, matrix.ticks))
    return replace(matrix, names=names, ticks=ticks, values=cells, told=None)


def _add_matrix(
    figure: go.Figure,
    matrix: ClassMatrix,
    labels: tuple[str, str],
    hover: str,
    place: tuple[int, int],
) -> None:
    row, column = place
    exact = matrix.values.dtype.kind == "f"
    cells: Style = {"z": matrix.values.astype(np.float32) if exact else matrix.values}
    cells |= {"customdata": matrix.told, "coloraxis": "coloraxis", "hoverongaps": False}
    if matrix.told is None:
        hover = hover.partition("<!-- told -->")[0] + "<extra></extra>"
    trace = go.Heatmap(x=matrix.names, y=matrix.names, hovertemplate=hover, **cells)
    figure.add_trace(trace, row, column)
    places, texts = ([names[k] for k in matrix.shown] for names in (matrix.names, matrix.ticks))
    ticks: Style = {"tickvals": places, "ticktext": texts, "constrain": "domain"}
    for update, label in zip((figure.update_xaxes, figure.update_yaxes), labels, strict=True):
        update(**ticks, **({"title_text": label} if label else {}), row=row, col=column)
    anchor = figure.get_subplot(row, column).yaxis.anchor
    figure.update_yaxes(autorange="reversed", scaleanchor=anchor, row=row, col=column)
