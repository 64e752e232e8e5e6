"""Set the style of pictures, for paper and for the screen, and turn them into bytes."""

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import plotly.graph_objects as go
from matplotlib.figure import Figure

from figures.charts.fit import fit_texts
from landscape.results.table import Table, typeset

COLUMN, PAGE = 3.25, 6.75  # widths of figures in inches
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
# no button that would send a figure to a server
OFFLINE = {"showSendToCloud": False, "plotlyServerURL": "", "displaylogo": False}
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES = ("", "////", "....", "xxxx", "----", "++++")


class Drawing(ABC):
    """A figure whose results are read; it can be drawn by both libraries."""

    @abstractmethod
    def draw(self) -> Figure:
        """Draw the figure for paper."""

    def fitted(self) -> Figure:
        """Draw the figure for paper, and make its texts fit."""
        return fit_texts(self.draw())

    @abstractmethod
    def page(self) -> go.Figure:
        """Build the interactive page."""

    def numbers(self) -> Table | None:
        """List the numbers that stand below the figure on a page, if there are any."""
        return None

    def tables(self) -> dict[str, str]:
        """Format its numbers as tables, by the suffix of their files."""
        return {}


@contextmanager
def paper_style(backend: str | None = "Agg") -> Iterator[None]:
    """Draw in the project's style.

    Args:
        backend: of matplotlib, by default one without a display; ``None`` keeps the current one.
    """
    if backend is not None:
        matplotlib.use(backend)
    with plt.style.context(Path(__file__).parent / "paper.mplstyle"):
        yield


def screen_style(page: go.Figure) -> go.Figure:
    """Give a page the project's style."""
    return typeset_page(page).update_layout(template="plotly_white", font={"family": "sans-serif"})


def typeset_page(page: go.Figure) -> go.Figure:
    """Write the numbers in titles and annotations with the minus that axes have."""
    for part in (page.layout.title, *page.layout.annotations):
        if part.text:
            part.text = typeset(part.text)
    return page


def rendered(figure: Figure, suffix: str, **style: Any) -> bytes:
    """Draw a matplotlib figure as the bytes of a file.

    Args:
        figure: the figure.
        suffix: ``pdf`` or ``png``.
        style: further arguments of :meth:`matplotlib.figure.Figure.savefig`.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, **style)
    return buffer.getvalue()
