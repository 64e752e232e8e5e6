"""Write pictures: PDF and PNG for paper, one self-contained page for the screen."""

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import plotly.graph_objects as go
from matplotlib.figure import Figure

from landscape.results.atomic import atomic_write

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

    @abstractmethod
    def page(self) -> go.Figure:
        """Build the interactive page."""

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
    return page.update_layout(template="plotly_white", font={"family": "sans-serif"})


def write(drawing: Drawing, name: str, folder: Path) -> list[Path]:
    """Write a figure as PDF, PNG, its tables, and HTML, each whole.

    Args:
        drawing: the figure.
        name: of the files, without suffix.
        folder: created if needed.

    Returns:
        The paths, the page last.
    """
    with paper_style():
        return write_pictures(drawing.draw(), drawing.page(), name, folder, drawing.tables())


def write_pictures(
    figure: Figure,
    page: go.Figure,
    name: str,
    folder: Path,
    tables: Mapping[str, str] | None = None,
) -> list[Path]:
    """Write ``name.pdf``, ``name.png``, tables and ``name.html``.

    Args:
        figure: the matplotlib figure; closed afterwards.
        page: the same for the screen.
        name: of the files, without suffix.
        folder: created if needed.
        tables: texts by their suffix.

    Returns:
        The paths, the page last.
    """
    contents: dict[str, str | bytes] = {}
    for suffix in ("pdf", "png"):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix)
        contents[suffix] = buffer.getvalue()
    plt.close(figure)
    contents |= tables or {}
    html = screen_style(page).to_html(include_plotlyjs=True, full_html=True, config=OFFLINE)
    paths = []
    for suffix, content in {**contents, "html": html}.items():
        paths.append(folder / f"{name}.{suffix}")
        atomic_write(paths[-1], content)
    return paths
