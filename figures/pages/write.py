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


def write_figure(kind: str, request: Request, folder: Path, *, embed: bool = False) -> list[Path]:
    """Draw a kind of figure and write its files.

    Args:
        kind: a name of :data:`figures.catalogue.FIGURES`.
        request: the runs and options.
        folder: created if needed.
        embed: write the plotting library into the page, not beside it.

    Returns:
        The paths, the page last.

    Raises:
        InputError: see :func:`figures.catalogue.read_figure`.
    """
    drawing, on_page = read_both(kind, request)
    about = facts(kind, request, folder)
    return write(drawing, kind, folder, about, on_page, embed=embed)


def write(
    drawing: Drawing,
    name: str,
    folder: Path,
    about: Facts = (),
    on_page: Drawing | None = None,
    *,
    embed: bool = False,
) -> list[Path]:
    """Write a figure as PDF, PNG, its tables, and HTML, each whole.

    Args:
        drawing: the figure.
        name: of the files, without suffix.
        folder: created if needed.
        about: what stands in the head of the page.
        on_page: the same with its names escaped, see :func:`figures.catalogue.read_both`. Default:
            the figure itself.
        embed: see :func:`write_figure`.

    Returns:
        The paths, the page last.
    """
    with paper_style():
        figure = drawing.fitted()
        tables = {suffix: text.encode() for suffix, text in drawing.tables().items()}
        numbers = drawing.numbers()
        below = "" if numbers is None else table_html(numbers)
        page = (on_page or drawing).page()
        return write_pictures(figure, page, name, folder, about, tables, below, embed=embed)


def write_pictures(
    figure: Figure,
    page: go.Figure,
    name: str,
    folder: Path,
    about: Facts = (),
    tables: dict[str, bytes] | None = None,
    below: str = "",
    *,
    embed: bool = False,
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
        embed: see :func:`write_figure`.

    Returns:
        The paths, the page last.
    """
    contents = {suffix: rendered(figure, suffix) for suffix in ("pdf", "png")} | (tables or {})
    plt.close(figure)
    title, *body = _page(page, name, about, below)
    contents["html"] = page_html(title, body, embed=embed).encode()
    if not embed:
        write_library(folder)
    paths = []
    for suffix, content in contents.items():
        paths.append(folder / f"{name}.{suffix}")
        atomic_write(paths[-1], content)
    return paths


def _page(figure: go.Figure, name: str, about: Facts, below: str) -> list[str]:
    """Write the window's title, and the parts of the page."""
    part = plot_part(figure, name)
    note = f'<p class="dim">{escape(part.note)}</p>' if part.note else ""
    head = [f"<h1>{escape(part.title)}</h1>", note, facts_html(about)]
    return [part.title, *head, part.html, below]
