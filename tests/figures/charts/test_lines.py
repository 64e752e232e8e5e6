"""One description of lines, drawn alike by both libraries."""

import numpy as np
import pytest

from figures.charts.grid import split_rows
from figures.charts.lines import Chart, Key
from figures.charts.panel import Axis, Line, Panel, colour, marker
from figures.output import paper_style

X = np.array([1.0, 10.0, 100.0])
Y = np.array([1.0, 4.0, 2.0])


def chart(*panels, **style):
    return Chart(split_rows(panels), "title", (4, 3), 400, **style)


def drawn(found):
    with paper_style():
        return found.draw()


def one(*lines, **fields):
    return chart(Panel("panel", list(lines), **fields), key=Key())


def test_points_errors_and_names_agree():
    bars = Line("a", X, Y, colour(0), marker(0), error=np.array([0.1, 0.2, 0.3]))
    plain = Line("b", X, 2 * Y, colour(1), dash="dash")
    sides = np.array([[0.5, 1, 2], [1, 2, 4]])
    wide = Line("c", X, 3 * Y, colour(2), marker(2), joined=False, x_error=sides)
    found = one(bars, plain, wide)
    figure, page = drawn(found), found.page()
    (axes,) = figure.axes
    named = {line.get_label(): line for line in axes.lines}
    curves = [axes.containers[0].lines[0], named["b"], axes.containers[1].lines[0]]
    for curve, trace in zip(curves, page.data, strict=True):
        assert curve.get_xdata().tolist() == trace.x.tolist()
        assert curve.get_ydata().tolist() == trace.y.tolist()
        assert curve.get_color() == trace.line.color
    (vertical,) = axes.containers[0].lines[2]
    ends = [segment[:, 1].tolist() for segment in vertical.get_segments()]
    assert np.ptp(ends, axis=1) / 2 == pytest.approx(page.data[0].error_y.array)
    (across,) = axes.containers[1].lines[2]
    left = [x - segment[0, 0] for x, segment in zip(X, across.get_segments(), strict=True)]
    assert left == pytest.approx(page.data[2].error_x.arrayminus)
    assert [trace.mode for trace in page.data] == ["lines+markers", "lines", "markers"]
    assert page.data[1].line.dash == "dash"
    names = {text.get_text() for text in figure.legends[0].get_texts()}
    assert names == {trace.name for trace in page.data if trace.showlegend} == {"a", "b", "c"}


def test_a_band_breaks_at_gaps():
    gap = np.array([1.0, np.nan, 2.0])
    found = one(Line("a", X, gap, colour(0), band=(gap - 0.5, gap + 0.5)))
    (axes,) = drawn(found).axes
    assert len(axes.collections) == 1
    band, curve = found.page().data
    assert band.y.tolist() == [1.5, 2.5, 1.5, 0.5]
    assert (band.fill, band.showlegend, curve.showlegend) == ("toself", False, True)


def test_a_level_spans_the_panel():
    level = Line("level", X[[0, -1]], np.ones(2), colour(0), across=True, error=np.full(2, 0.5))
    found = one(level)
    (axes,) = drawn(found).axes
    assert axes.lines[0].get_ydata() == [1, 1]
    assert axes.patches[0].get_extents().height > 0
    assert found.page().data[0].x.tolist() == [1, 100]


def test_scales_labels_and_ticks_agree():
    x = Axis("x\nlabel", scale="log", ticks=([1, 100], ["one", "hundred"]))
    found = one(Line("a", X, Y, colour(0)), x=x, y=Axis("y", "page y", is_reversed=True))
    (axes,) = drawn(found).axes
    layout = found.page().layout
    assert (axes.get_xscale(), layout.xaxis.type) == ("log", "log")
    assert (axes.get_xlabel(), layout.xaxis.title.text) == ("x\nlabel", "x<br>label")
    assert (axes.get_ylabel(), layout.yaxis.title.text) == ("y", "page y")
    assert [t.get_text() for t in axes.get_xticklabels()] == list(layout.xaxis.ticktext)
    assert axes.yaxis_inverted()
    assert layout.yaxis.autorange == "reversed"


def test_marks_stand_in_both():
    found = one(Line("a", X, Y, colour(0)), reweighting=10, level=1.5, caption="said")
    (axes,) = drawn(found).axes
    page = found.page()
    assert axes.get_title() == "panel"
    assert [text.get_text().strip() for text in axes.texts] == ["re-weighting", "said"]
    places = [list(line.get_xdata()) for line in axes.lines]
    assert [10, 10] in places
    assert {(s.x0, s.y0) for s in page.layout.shapes} == {(0, 1.5), (10, 0)}
    assert [a.text for a in page.layout.annotations] == ["panel", "re-weighting", "said"]


def test_an_empty_panel_says_so():
    (axes,) = drawn(chart(Panel("panel", [], empty="nothing"))).axes
    assert [text.get_text() for text in axes.texts] == ["nothing"]


def test_limits_hold_the_lines_of_every_panel():
    """The lower end is set; the upper end has to fit the highest panel, first or not."""
    low, high = (
        Panel(name, [Line("a", X, scale * Y, colour(0))], y=Axis(limits=(0, None)))
        for name, scale in (("low", 1), ("high", 10))
    )
    for panels in ((low, high), (high, low)):
        figure = drawn(chart(*panels, share_y="all"))
        assert {axes.get_ylim()[0] for axes in figure.axes} == {0}
        assert min(axes.get_ylim()[1] for axes in figure.axes) > 40


@pytest.mark.parametrize(("count", "shape"), [(1, [1]), (3, [3]), (4, [2, 2]), (5, [3, 2])])
def test_rows_hold_three_panels(count, shape):
    panels = [Panel(str(k), [Line("a", X, Y, colour(0))]) for k in range(count)]
    found = chart(*panels)
    assert [len(row) for row in found.rows] == shape
    figure, page = drawn(found), found.page()
    seen = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in seen] == [str(k) for k in range(count)]
    assert [a.text for a in page.layout.annotations] == [str(k) for k in range(count)]
