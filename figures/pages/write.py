"""Write a figure's files: PDF and PNG for paper, its tables, and a page for the screen."""

from collections.abc import Iterable
from html import escape
from pathlib import Path

import matplotlib.pyplot as plt
import plotly.graph_objects as go
from matplotlib.figure import Figure

from figures.catalogue import read_both
from figures.output import Drawing, paper_style, rendered
from figures.pages.about import facts
from figures.pages.html import facts_html, page_html, plot_part, table_html, write_library
from figures.request import Request
from landscape.results.atomic import atomic_write

Facts = Iterable[tuple[str, str]]


def write_figure(kind: str, request: Request, folder: Path) -> list[Path]:
    """Draw a kind of figure and write its files.

    Args:
        kind: a name of :data:`figures.catalogue.FIGURES`.
        request: the runs and options.
        folder: created if needed.

    Returns:
        The paths, the page last.

    Raises:
        InputError: see :func:`figures.catalogue.read_figure`.
    """
    drawing, on_page = read_both(kind, request)
    return write(drawing, kind, folder, facts(kind, request), on_page)


def write(
    drawing: Drawing,
    name: str,
    folder: Path,
    about: Facts = (),
    on_page: Drawing | None = None,
) -> list[Path]:
    """Write a figure as PDF, PNG, its tables, and HTML, each whole.

    Args:
        drawing: the figure.
        name: of the files, without suffix.
        folder: created if needed.
        about: what stands in the head of the page.
        on_page: the same with its names escaped, see :func:`figures.catalogue.read_both`. Default:
            the figure itself.

    Returns:
        The paths, the page last.
    """
    with paper_style():
        figure = drawing.fitted()
        tables = {suffix: text.encode() for suffix, text in drawing.tables().items()}
        numbers = drawing.numbers()
        below = "" if numbers is None else table_html(numbers)
        page = (on_page or drawing).page()
        return write_pictures(figure, page, name, folder, about, tables, below)


def write_pictures(
    figure: Figure,
    page: go.Figure,
    name: str,
    folder: Path,
    about: Facts = (),
    tables: dict[str, bytes] | None = None,
    below: str = "",
) -> list[Path]:
    """Write ``name.pdf``, ``name.png``, tables and ``name.html``, and the page's library.

    Args:
        figure: the matplotlib figure; closed afterwards.
        page: the same for the screen.
        name: of the files, without suffix.
        folder: created if needed.
        about: what stands in the head of the page.
        tables: contents by their suffix.
        below: HTML below the figure on the page.

    Returns:
        The paths, the page last.
    """
    contents = {suffix: rendered(figure, suffix) for suffix in ("pdf", "png")} | (tables or {})
    plt.close(figure)
    contents["html"] = _page(page, name, about, below).encode()
    write_library(folder)
    paths = []
    for suffix, content in contents.items():
        paths.append(folder / f"{name}.{suffix}")
        atomic_write(paths[-1], content)
    return paths


def _page(figure: go.Figure, name: str, about: Facts, below: str) -> str:
    part = plot_part(figure, name)
    note = f'<p class="dim">{escape(part.note)}</p>' if part.note else ""
    body = [f"<h1>{escape(part.title)}</h1>", note, facts_html(about), part.html, below]
    return page_html(part.title, body)
