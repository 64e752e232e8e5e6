"""Pages: side by side on wide windows, one below the other on narrow ones; small; offline."""

import json
import re
from itertools import pairwise

import numpy as np
import plotly
import plotly.graph_objects as go
import pytest

from figures.charts.grid import page_grid
from figures.kinds import conflicts
from figures.pages.html import LIBRARY, plot_part, write_library
from figures.pages.layouts import column_count, narrow_layout, places, wide_layout
from figures.pages.write import write, write_figure
from figures.request import Request
from tests.figures.gradient_records import gradients, save_run


@pytest.fixture
def grid():
    """Two rows of three panels with titles, a common scale, and a legend."""
    titles = [f"panel {k}" for k in range(6)]
    figure = page_grid([[0, 1, 2], [3, 4, 5]], titles, shared_yaxes="all")
    for k in range(6):
        trace = go.Scatter(x=[0, 1], y=[0, k], name=f"line {k}")
        figure.add_trace(trace, k // 3 + 1, k % 3 + 1)
    figure.update_yaxes(title_text="height", col=1)
    return figure.update_layout(height=800, title="All<br><sup>of them</sup>")


def test_panels_are_found_row_by_row(grid):
    assert column_count(grid) == 3
    found = [place.keys for place in places(grid)]
    assert found == [(f"xaxis{k or ''}", f"yaxis{k or ''}") for k in ("", 2, 3, 4, 5, 6)]


def test_a_narrow_page_stacks_its_panels(grid):
    found = narrow_layout(grid)
    spans = [found[f"yaxis{k}"]["domain"] for k in ("", 2, 3, 4, 5, 6)]
    for above, below in pairwise(spans):
        assert above[0] > below[1]
    assert spans[0][1] == 1
    assert spans[-1][0] == pytest.approx(0, abs=1e-9)
    assert np.ptp(spans, axis=1) == pytest.approx(np.ptp(spans[0]))
    assert all(found[f"xaxis{k}"]["domain"] == [0, 1] for k in ("", 2, 6))
    assert all(found[f"yaxis{k}"]["title"]["text"] == "height" for k in ("", 2, 3))
    assert all(found[f"yaxis{k}"]["showticklabels"] for k in ("", 2, 3))
    heads = {note["text"]: note["y"] for note in found["annotations"]}
    assert [heads[f"panel {k}"] for k in range(6)] == pytest.approx([top for _, top in spans])


def test_a_narrow_page_shortens_names_and_leaves_them_room(grid):
    names = [f"a class with a very long name, {k}" for k in range(10)]
    for row, column in ((1, 1), (2, 1)):
        grid.add_trace(go.Heatmap(x=names, y=names, z=np.eye(10)), row, column)
    plain = narrow_layout(page_grid([[0], [1]], ["", ""]).update_layout(height=400))
    found = narrow_layout(grid)
    for key in ("xaxis", "yaxis"):
        assert found[key]["tickvals"] == names
        assert max(map(len, found[key]["ticktext"])) == 14
        assert len(set(found[key]["ticktext"])) == 10
    assert "ticktext" not in found["xaxis2"]
    assert found["margin"]["l"] > plain["margin"]["l"] + 50
    spans = [np.array(found[f"yaxis{k}"]["domain"]) for k in ("", 2)]
    inner = found["height"] - found["margin"]["t"] - found["margin"]["b"]
    assert (spans[0][0] - spans[1][1]) * inner > 64 + 14 * 6  # an axis, and names upright


def test_the_buttons_of_a_wide_page_stand_above_the_titles(grid):
    layout = wide_layout(grid)
    assert layout["margin"]["t"] >= 26 + 16  # the buttons, and a line


def test_a_panel_without_a_title_has_that_of_its_column(grid):
    below = [note for note in grid.layout.annotations if note.text in {"panel 3", "panel 4"}]
    grid.layout.annotations = [n for n in grid.layout.annotations if n not in below]
    found = narrow_layout(grid)["annotations"]
    assert [note["text"] for note in found] == [f"panel {k}" for k in (0, 1, 2, 0, 1, 5)]
    assert len({note["y"] for note in found}) == 6


def test_long_titles_are_wrapped_to_their_panels(grid):
    grid.layout.annotations[0].text = "word " * 60
    wide, narrow = (make(grid)["annotations"][0]["text"] for make in (wide_layout, narrow_layout))
    assert max(map(len, wide.split("<br>"))) * 6 < 1000 / 3 + 10
    assert max(map(len, narrow.split("<br>"))) * 6 < 350


def test_a_title_becomes_text_and_names_stay_text(grid):
    grid.data[0].name = "</script><b>x"
    part = plot_part(grid, "toy")
    assert (part.title, part.note) == ("All", "of them")
    (text,) = re.findall(r"<script[^>]*>(.*?)</script>", part.html)
    drawn = json.loads(text)
    assert drawn["data"][0]["name"] == "</script><b>x"
    assert drawn["layout"]["title"].get("text") is None
    assert drawn["config"]["responsive"]
    assert not drawn["config"]["showSendToCloud"]


@pytest.fixture
def run(tmp_path):
    return save_run(tmp_path / "my run", gradients)


def test_a_page_says_run_checkpoint_command_and_day(run, tmp_path):
    out = tmp_path / "out"
    paths = write_figure("conflicts", Request((run,), options={"layer": "stem"}), out)
    page = paths[-1].read_text(encoding="utf-8")
    assert "my run (ce-drw) on" in page
    assert "last (epoch 200)" in page
    assert f"tailscape figure conflicts &#x27;{run.path}&#x27; --options layer=stem" in page
    assert re.search(r"<dd>\d{4}-\d{2}-\d{2}</dd>", page)
    again = write_figure("conflicts", Request((run,), options={"layer": "stem"}), out)
    assert again[-1].read_text(encoding="utf-8") == page


def test_pages_share_one_library(run, tmp_path):
    drawing = conflicts.read(Request((run,)))
    for name in ("one", "two"):
        page = write(drawing, name, tmp_path / "out")[-1].read_text(encoding="utf-8")
        assert re.findall(r'<script[^>]*src="([^"]*)"', page) == [LIBRARY]
        assert len(page) < 100_000
    assert (tmp_path / "out" / LIBRARY).stat().st_size > 1_000_000
    before = (tmp_path / "out" / LIBRARY).stat().st_mtime_ns
    write_library(tmp_path / "out")
    assert (tmp_path / "out" / LIBRARY).stat().st_mtime_ns == before


def test_conflicts_of_a_thousand_classes_are_small(tmp_path):
    run = save_run(tmp_path / "run", gradients, classes=1000, epochs=(200,), absent=(3,))
    drawing = conflicts.read(Request((run,)))
    (heat,) = drawing.page().data
    values = drawing.panels[0].values
    kept = [k for k in range(1000) if k != 3]
    assert np.abs(heat.z / 100 - values[np.ix_(kept, kept)]).max() <= 0.005 + 1e-12
    assert len(heat.x) == 999
    page = plot_part(drawing.page(), "conflicts").html.encode()
    plain = int(plotly.__version__.partition(".")[0]) < 6  # which writes numbers as text
    assert len(page) < (5_000_000 if plain else 2_500_000)
