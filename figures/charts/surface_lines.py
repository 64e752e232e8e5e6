"""Draw loss and accuracy along one direction, a panel a run and a colour a scope."""

from collections.abc import Iterator
from itertools import chain, cycle

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures.charts.grid import page_grid, paper_grid, split_rows
from figures.charts.panel import Style
from figures.charts.paper_lines import write_powers
from figures.charts.surface_panels import SurfacePanel, holes
from figures.output import COLOURS, COLUMN, MARKERS, PAGE
from landscape.results.fields import Array

_STYLES = {"loss": "-", "accuracy": "--"}


def draw_lines(rows: list[list[SurfacePanel]]) -> Figure:
    """Draw the figure for paper, column width for one run and page width for several.

    Args:
        rows: panels of one direction; a row a run.
    """
    grid = split_rows(rows)
    columns = len(grid[0])
    size = (PAGE if columns > 1 else COLUMN, 2.2 * len(grid) + 0.4)
    figure, axes = paper_grid(grid, size, sharey=True)
    for k, (place, row) in enumerate(zip(chain(*axes), rows, strict=True)):
        other = place.twinx()
        other.spines["right"].set_visible(True)
        for panel, look in zip(row, _looks(), strict=False):
            for side, quantity in ((place, "loss"), (other, "accuracy")):
                x, values = _known(panel, quantity)
                side.plot(x, values, ls=_STYLES[quantity], label=panel.scope, markevery=0.1, **look)
        place.axvline(0, color="0.6", lw=0.5, zorder=0)
        place.set_yscale("log")
        write_powers(place.yaxis)
        other.set_ylim(0, 102)
        place.set_title(_title(row))
        place.set_xlabel(row[0].labels[0])
        if k % columns == 0:
            place.set_ylabel("loss")
        if k % columns == columns - 1 or k == len(rows) - 1:
            other.set_ylabel("accuracy, %")
        else:
            other.set_yticklabels([])
    _add_key(figure, rows[0])
    return figure


def page_lines(rows: list[list[SurfacePanel]]) -> go.Figure:
    """Build the interactive page.

    Args:
        rows: panels of one direction; a row a run.
    """
    titles = [_title(row).replace("\n", "<br>") for row in rows]
    specs = [[{"secondary_y": True} for _ in rows]]
    figure = page_grid([rows], titles, specs=specs)
    for c, row in enumerate(rows, 1):
        for panel, colour in zip(row, cycle(COLOURS), strict=False):
            for quantity in _STYLES:
                x, values = _known(panel, quantity)
                dash = "dash" if quantity == "accuracy" else "solid"
                trace = go.Scatter(
                    x=x,
                    y=values,
                    name=f"{panel.scope}, {quantity}",
                    legendgroup=panel.scope,
                    showlegend=c == 1,
                    line={"color": colour, "dash": dash},
                    hovertemplate=f"{panel.scope}, {quantity} %{{y:.4g}}<extra></extra>",
                )
                figure.add_trace(trace, 1, c, secondary_y=quantity == "accuracy")
        figure.update_xaxes(title_text=row[0].labels[0], row=1, col=c)
    figure.update_yaxes(title_text="loss", col=1, secondary_y=False)
    figure.update_yaxes(title_text="accuracy, %", col=len(rows), secondary_y=True)
    log = {"type": "log", "dtick": 1, "exponentformat": "power", "matches": "y"}
    figure.update_yaxes(**log, secondary_y=False)
    percent = {"range": [0, 102], "tickmode": "linear", "dtick": 20, "showgrid": False}
    figure.update_yaxes(**percent, secondary_y=True)
    return figure.update_layout(
        height=520, hovermode="x unified", title="Loss and accuracy around the checkpoint"
    )


def _known(panel: SurfacePanel, quantity: str) -> tuple[Array, Array]:
    """Keep the computed points: a line passes over the others and breaks at non-finite ones."""
    done = panel.done[0]
    values = panel.values(quantity)[0, done]
    return panel.x[done], np.where(np.isfinite(values), values, np.nan)


def _title(row: list[SurfacePanel]) -> str:
    broken = np.where(np.all([np.isfinite(p.loss) for p in row], axis=0), 1.0, np.nan)
    return "\n".join([row[0].run, *holes(row[0].done, broken, complete=row[0].complete)])


def _add_key(figure: Figure, row: list[SurfacePanel]) -> None:
    handles = [
        Line2D([], [], label=panel.scope, **look)
        for panel, look in zip(row, _looks(), strict=False)
    ]
    handles += [Line2D([], [], color="0.4", ls=ls, label=name) for name, ls in _STYLES.items()]
    columns = 3 if figure.get_figwidth() < PAGE else 6
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def _looks() -> Iterator[Style]:
    """Give the scopes colours and markers, so that they differ in grey, too."""
    pairs = zip(cycle(COLOURS), cycle(MARKERS), strict=False)
    return ({"color": colour, "marker": marker} for colour, marker in pairs)
