"""Writing pictures: PDF and PNG for paper, one self-contained page for the screen."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import plotly.graph_objects as go
from matplotlib.figure import Figure

from landscape.results.atomic import atomic_write

PAGE = 6.75  # inches
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
# no button that would send a figure to a server
OFFLINE = {"showSendToCloud": False, "plotlyServerURL": "", "displaylogo": False}
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES = ("", "////", "....", "xxxx", "----", "++++")


@contextmanager
def paper_style() -> Iterator[None]:
    """Draw without a display, in the project's style."""
    matplotlib.use("Agg")
    with plt.style.context(Path(__file__).parent / "paper.mplstyle"):
        yield


def write_figure(figure: Figure, page: go.Figure, name: str, folder: Path) -> list[Path]:
    """Write ``name.pdf``, ``name.png`` and ``name.html``, each whole.

    Args:
        figure: the matplotlib figure; closed afterwards.
        page: the same for the screen.
        name: file name without suffix.
        folder: created if needed.

    Returns:
        The three paths, the page last.
    """
    paths = []
    for suffix in ("pdf", "png"):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix)
        paths.append(folder / f"{name}.{suffix}")
        atomic_write(paths[-1], buffer.getvalue())
    plt.close(figure)
    page.update_layout(template="plotly_white", font={"family": "sans-serif"})
    paths.append(folder / f"{name}.html")
    atomic_write(paths[-1], page.to_html(include_plotlyjs=True, full_html=True, config=OFFLINE))
    return paths
