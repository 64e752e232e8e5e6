"""Names of classes and runs stand in figures as they are, whatever signs they hold."""

import html
import json
import re

import plotly.graph_objects as go
import pytest
from matplotlib.text import Text

from figures.catalogue import FIGURES, read_both
from figures.output import paper_style
from figures.pages.html import plot_part
from figures.request import Request
from figures.runs.markup import page_text
from tests.figures.complete_run import OPTIONS, complete_run

ODD = [
    "$\\frac$",
    "Golden <b>retriever",
    "$x^2_{y}$",
    "a & b",
    "&lt;",
    "%{x}",
    "50 %",
    "{",
    "\\",
    "_",
]
FOLDER = "<i>$\\frac$ %{y} &"
NAMING = ("confusion", "conflicts", "embedding", "basin", "spikes", "gradient-noise")


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Two runs of odd names with a result of every analysis, to be read only."""
    folder = tmp_path_factory.mktemp("odd")
    return [complete_run(folder / f"{FOLDER}{rho}", rho, ODD) for rho in (0.1, 0.2)]


def texts_of(value):
    """List all texts of a page's description."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts_of(item)


@pytest.mark.parametrize("kind", FIGURES)
def test_names_are_no_markup(kind, odd):
    asked = Request(tuple(odd), options=OPTIONS.get(kind, {}))
    drawing, on_page = read_both(kind, asked)
    with paper_style():
        figure = drawing.draw()
        figure.draw_without_rendering()
    written = [text.get_text() for text in figure.findobj(Text)]
    assert not any("mathdefault" in text for text in written)
    shown = list(texts_of(json.loads(on_page.page().to_json())["data"]))
    shown += texts_of(json.loads(on_page.page().to_json())["layout"])
    assert not [t for t in shown if re.search(r"<b>|<i>|\$|%\{(?!x|y|z|customdata|text)|& ", t)]
    if kind in NAMING:
        for name in ODD:
            assert any(name in text for text in written)
            assert any(name in html.unescape(text) for text in shown)
        assert any(FOLDER in text for text in written)


def test_a_page_s_title_is_text_once_it_is_a_heading():
    page = go.Figure(layout={"title": "a &amp; b<br><sup>x &lt; y; &#36;5</sup>"})
    part = plot_part(page, "name")
    assert (part.title, part.note) == ("a & b", "x < y; $5")


def test_a_text_of_a_page_reads_back():
    for name in (*ODD, FOLDER):
        found = page_text(name)
        assert html.unescape(found) == name
        assert not re.search(r"[<>$]|%\{|&(?![a-z#0-9]+;)", found)
