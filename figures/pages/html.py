"""Write the parts of pages: a figure that fits wide and narrow windows, and the page around it.

The plotting library lies beside the pages of a folder, once, so that they open without a network;
a page to be sent by itself holds it. Without it a page says what it lacks.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path

import plotly.graph_objects as go
import plotly.io as pio
from plotly.offline import get_plotlyjs

from figures.output import OFFLINE, screen_style
from figures.pages.layouts import column_count, narrow_layout, wide_layout
from landscape.results.atomic import atomic_write
from landscape.results.table import Table

LIBRARY = "plotly.min.js"
_ABSENT = (
    f"The figure is drawn by {LIBRARY}, which lies beside this page where it was written, and "
    "scripts have to be allowed: copy both files to one folder, or write the page again with "
    "--embed, which makes it one file."
)
_HERE = Path(__file__).parent
_WIDTHS = {1: 760, 2: 1040}  # pixels that few columns take at most


@dataclass(frozen=True)
class PlotPart:
    """A figure as a part of a page."""

    title: str
    note: str  # below the title; may be empty
    html: str


def plot_part(figure: go.Figure, name: str) -> PlotPart:
    """Turn a figure into a part of a page; its title becomes text.

    Args:
        figure: the figure, which is changed.
        name: for its element.
    """
    title, _, note = str(figure.layout.title.text or name).partition("<br>")
    note = note.replace("<br>", "; ").replace("<sup>", "").replace("</sup>", "")
    title, note = unescape(title), unescape(note)
    screen_style(figure)
    narrow = narrow_layout(figure)
    columns = column_count(figure)
    figure.update_layout(wide_layout(figure))
    drawn = json.loads(pio.to_json(figure, validate=False))
    text = json.dumps(drawn | {"narrow": narrow, "config": OFFLINE | {"responsive": True}})
    widest = f' style="max-width:{_WIDTHS[columns]}px"' if columns in _WIDTHS else ""
    html = (
        f'<div class="plot" id="figure-{escape(name)}"{widest}>'
        f'<p class="absent">{_ABSENT}</p></div>'
        f'<script type="application/json" class="drawn">{_within_script(text)}</script>'
    )
    return PlotPart(title, note, html)


def page_html(title: str, body: Iterable[str], *, embed: bool = False) -> str:
    """Write a whole page.

    Args:
        title: of the window.
        body: its parts as HTML, which call for the library if they have figures.
        embed: write the library into the page, not beside it.
    """
    library = f'<script src="{LIBRARY}" charset="utf-8"></script>'
    if embed:
        library = f"<script>{get_plotlyjs()}</script>"
    style, script = (_HERE / name for name in ("page.css", "page.js"))
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{style.read_text(encoding='utf-8')}</style>",
            library,
            "</head><body>",
            *body,
            f"<script>{script.read_text(encoding='utf-8')}</script>",
            "</body></html>\n",
        ]
    )


def facts_html(facts: Iterable[tuple[str, str]]) -> str:
    """Write names and values as a small list, a command as code."""
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{_fact(name, value)}</dd>" for name, value in facts if value
    )
    return f'<dl class="facts">{rows}</dl>'


def table_html(table: Table) -> str:
    """Write a table that scrolls by itself where it is wider than the window, if it has rows."""
    return "" if not table.rows else f'<div class="wide">{table.html()}</div>'


def write_library(folder: Path) -> Path:
    """Write the plotting library beside the pages, unless it is there.

    Args:
        folder: of the pages.

    Returns:
        Its path.
    """
    path, text = folder / LIBRARY, get_plotlyjs()
    if not path.is_file() or path.stat().st_size != len(text.encode()):
        atomic_write(path, text)
    return path


def _fact(name: str, value: str) -> str:
    return f"<code>{escape(value)}</code>" if name == "command" else escape(value)


def _within_script(text: str) -> str:
    """Keep a text from ending the script element it stands in."""
    return text.replace("<", "\\u003c")
