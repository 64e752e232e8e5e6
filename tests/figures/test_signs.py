"""One way to write a sign and a share: a minus on pages and figures, a space before per cent."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import plotly.graph_objects as go

import figures
from figures.charts.fit import fit_texts
from figures.output import typeset_page
from landscape.results.table import Table, typeset

ROOT = Path(figures.__file__).parents[1]


def test_numbers_have_a_minus_and_names_keep_their_hyphen():
    text = "ce-drw-0, class-7, 2026-01-02: -1.5 … -.5, (-2), 3e-05; λ = -∞, well-known"
    found = typeset(text)
    assert found == "ce-drw-0, class-7, 2026-01-02: −1.5 … −.5, (−2), 3e−05; λ = −∞, well-known"


def test_figures_pages_and_tables_agree():
    figure, axes = plt.subplots(layout="constrained")
    axes.set_title("λmin -2")
    assert fit_texts(figure).axes[0].get_title() == "λmin −2"
    page = go.Figure(layout_title_text="run-0: -2").add_annotation(text="λmin -1e-05")
    found = typeset_page(page).layout
    assert (found.title.text, found.annotations[0].text) == ("run-0: −2", "λmin −1e−05")
    table = Table(("run", "λmin"), (("-0", "-2 … -1"),), "least -2")
    assert "-2 … -1" in table.text()
    html = table.html()
    assert ">-0<" in html
    assert ">−2 … −1<" in html
    assert ">least −2<" in html


def test_a_share_is_written_by_one_rule():
    """No format of Python's own, which leaves out the space."""
    for room in ("landscape", "figures", "cli", "trainers"):
        for path in (ROOT / room).rglob("*.py"):
            assert not re.search(r":\.?\d*%\}", path.read_text(encoding="utf-8")), path
