"""One way to write a sign and a share: a minus on pages and figures, a space before per cent."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go

import figures
from figures.catalogue import read_figure
from figures.charts.fit import fit_texts
from figures.charts.lines import Chart
from figures.charts.panel import Axis, Line, Panel
from figures.output import paper_style, typeset_page
from figures.runs.markup import markdown_text, tex_text
from landscape.results.table import Table, typeset
from tests.figures import diagnostic_records, run_records

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


def test_tex_means_nothing_by_a_name():
    """Each of the ten signs that mean something is printed, and three that print others."""
    assert tex_text(r"a_b & 50% #1 ${x}^2 ~ \n <|>") == (
        r"a\_b \& 50\% \#1 \$\{x\}\textasciicircum{}2 \textasciitilde{} \textbackslash{}n "
        r"\textless{}\textbar{}\textgreater{}"
    )
    assert markdown_text(r"a|b\c") == r"a\|b\\c"


def test_the_accuracies_tables_escape_names(tmp_path):
    runs = [
        run_records.write_run(tmp_path / name, name, run_records.accuracy())
        for name in ("50%_a|b", "c&d")
    ]
    tables = read_figure("accuracy", run_records.request(*runs)).tables()
    assert r"50\%\_a\textbar{}b & $" in tables["tex"]
    assert r"c\&d & $" in tables["tex"]
    assert r"| 50%_a\|b | " in tables["md"]


def test_the_word_of_reweighting_stays_within_its_panel():
    for epoch, side in ((5, "left"), (160, "right")):
        line = Line("tail", np.array([0, 200]), np.array([0.0, 1.0]), "red")
        panel = Panel("ce", [line], Axis("epoch"), Axis("loss"), reweighting=epoch)
        chart = Chart([[panel]], "", (3, 2), 300)
        with paper_style():
            figure = chart.draw()
            figure.draw_without_rendering()
        (word,) = figure.axes[0].texts
        box, axes = word.get_window_extent(), figure.axes[0].get_window_extent()
        assert axes.x0 <= box.x0
        assert box.x1 <= axes.x1
        (note,) = [n for n in chart.page().layout.annotations if n.text == "re-weighting"]
        assert note.xanchor == side


def test_a_group_has_one_marker_in_every_figure(tmp_path):
    scopes = ("head", "tail")
    run = run_records.write_run(
        tmp_path / "run",
        "ce",
        run_records.recording(scopes=scopes),
        diagnostic_records.stability(),
        checkpoint="step_000600",
    )
    looks = []
    for kind in ("recording", "stability"):
        chart = read_figure(kind, run_records.request(run, scopes=scopes))
        looks.append({line.label: line.marker for line in chart.panels[0].lines})
    assert {name: looks[0][name] for name in scopes} == {name: looks[1][name] for name in scopes}


def test_an_accuracy_says_on_which_data(tmp_path):
    records = run_records.accuracy(), run_records.spectrum()
    run = run_records.write_run(tmp_path / "run", "ce", *records)
    (panels,) = read_figure("spectrum", run_records.request(run)).rows
    assert "test accuracy 50.0 %" in panels[-1].title
    (_, pair), *_ = read_figure("head-tail", run_records.request(run)).runs
    assert pair[1].numbers["test accuracy"] == "50.0 %"


def test_paths_have_one_legend(tmp_path):
    run = run_records.write_run(tmp_path / "run", "ce", diagnostic_records.path())
    chart = read_figure("path", run_records.request(run))
    assert not any(panel.caption for panel in chart.panels)
    with paper_style():
        (legend,) = chart.draw().legends
    marks = {
        text.get_text(): handle.get_marker()
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
        if hasattr(handle, "get_marker")
    }
    drawn = {line.label: line.marker[0] for line in chart.rows[0][1].lines}
    assert drawn.items() <= marks.items()
