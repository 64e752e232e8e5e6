"""Draw matrices of classes as coloured cells, for paper and page; missing cells are grey.

Columns are classes; rows are the same classes unless they have names of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from figures.charts.names import inches, short_names
from figures.charts.panel import Style
from landscape.results.fields import Array

_MOST_NUMBERED = 12  # classes whose cells have room for a number
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
    rows: list[str] | None = field(default=None, kw_only=True)  # names of rows that are no classes

    @property
    def shown(self) -> range:
        """The classes that have a tick."""
        return range(0, len(self.ticks), self.every)

    @property
    def aspect(self) -> Literal["equal", "auto"]:
        """Shape of the cells."""
        return "equal" if self.rows is None else "auto"

    @property
    def tick_texts(self) -> list[str]:
        """Texts of the classes' ticks (K,)."""
        return short_names(self.ticks)

    @property
    def room(self) -> float:
        """What the classes' ticks take of the height and, where rows are classes, of the width."""
        return inches([self.tick_texts[k] for k in self.shown])

    @property
    def row_ticks(self) -> tuple[Sequence[int], list[str]]:
        """Places and texts of the rows' ticks; each row of its own has one."""
        if self.rows is None:
            return self.shown, [self.tick_texts[k] for k in self.shown]
        return range(len(self.rows)), self.rows


def draw_matrix(axes: Axes, matrix: ClassMatrix, grey: str, **style: Any) -> AxesImage:
    """Draw the cells for paper, with ticks.

    Args:
        axes: where to.
        matrix: the values.
        grey: of missing cells.
        style: colour map and its ends.
    """
    image = axes.imshow(np.ma.masked_invalid(matrix.values), aspect=matrix.aspect, **style)
    axes.set_facecolor(grey)
    ticks = [matrix.tick_texts[k] for k in matrix.shown]
    axes.set_xticks(matrix.shown, ticks, rotation=90 if max(map(len, ticks)) > 2 else 0)
    places, texts = matrix.row_ticks
    axes.set_yticks(places, texts)
    return image


def write_percents(axes: Axes, panel: ClassMatrix) -> None:
    """Write the shares of at least one in a hundred, in per cent, where there is room."""
    if len(panel.ticks) > _MOST_NUMBERED:
        return
    for (r, c), value in np.ndenumerate(panel.values):
        if np.isfinite(value) and abs(value) >= 0.005:
            shade = "white" if value > 0.6 else "black"
            text = f"{100 * value:.0f}"
            axes.text(c, r, text, ha="center", va="center", fontsize=4.5, color=shade)


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
    if matrix.rows is not None:
        cells = np.nan_to_num(100 * matrix.values).round().astype(np.int16)
        return replace(matrix, values=cells, told=None)
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
    own = matrix.names if matrix.rows is None else matrix.rows
    trace = go.Heatmap(x=matrix.names, y=own, hovertemplate=hover, **cells)
    figure.add_trace(trace, row, column)
    at, texts = matrix.row_ticks
    ticks = ([matrix.names[k] for k in matrix.shown], [matrix.tick_texts[k] for k in matrix.shown])
    sides = (figure.update_xaxes, ticks), (figure.update_yaxes, ([own[k] for k in at], texts))
    for (update, (places, shown)), label in zip(sides, labels, strict=True):
        style: Style = {"tickvals": places, "ticktext": shown, "constrain": "domain"}
        update(**style, **({"title_text": label} if label else {}), row=row, col=column)
    anchor = figure.get_subplot(row, column).yaxis.anchor if matrix.rows is None else None
    figure.update_yaxes(autorange="reversed", scaleanchor=anchor, row=row, col=column)
