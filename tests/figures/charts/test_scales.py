"""Scales over decades, names at the ends of lines, gaps between checkpoints."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from figures.charts.lines import Chart
from figures.charts.panel import Axis, Line, Panel, long_gaps
from figures.charts.paper_lines import spread
from figures.charts.scales import power_text, scale_of, symlog, symlog_ticks
from figures.output import paper_style

VALUES = np.array([-30.0, -1.0, -0.02, 0.0, 0.003, 0.01, 0.5, 200.0])


@pytest.mark.parametrize("threshold", [0.01, 1.0])
def test_the_pages_scale_is_that_of_matplotlib(threshold):
    """Matplotlib's own transform is the oracle; the page's differs by a factor."""
    axes = plt.figure().add_subplot()
    axes.set_yscale("symlog", linthresh=threshold, linscale=1)
    expected = axes.yaxis.get_transform().transform(VALUES)
    found = symlog(VALUES, threshold)
    assert found == pytest.approx(expected / expected[-1] * found[-1])


def test_a_page_shows_the_values_where_paper_has_them():
    y = scale_of(VALUES)
    line = Line("a", np.arange(8.0), VALUES, "#000000", error=np.full(8, 0.001))
    page = Chart([[Panel("", [line], y=y)]], "", (3, 2), 300).page()
    (trace,) = page.data
    assert trace.y == pytest.approx(symlog(VALUES, y.threshold))
    assert trace.customdata[:, 1].tolist() == VALUES.tolist()
    assert "%{customdata[1]" in trace.hovertemplate
    assert trace.error_y.array[3] == pytest.approx(symlog(np.array([0.001]), y.threshold)[0])
    ticks = dict(zip(page.layout.yaxis.ticktext, page.layout.yaxis.tickvals, strict=True))
    assert ticks["0"] == 0
    assert ticks["100"] == pytest.approx(symlog(np.array([100.0]), y.threshold)[0])
    low, high = page.layout.yaxis.range
    assert low < trace.y.min() < trace.y.max() < high


def test_a_scale_leaves_no_room_for_a_sign_that_no_value_has():
    assert scale_of(np.array([0.1, 20.0])).scale == "log"
    low, high = scale_of(np.array([-20.0, -0.1])).limits
    assert low < -20 < -0.1 < high < 0
    low, high = scale_of(np.array([0.0, 3.0])).limits
    assert -0.5 < low < 0 < 3 < high
    assert scale_of(np.array([np.nan, 0.0])).scale == "linear"


def test_ticks_are_powers_within_the_ends():
    assert symlog_ticks(-0.5, 300, 0.1)[0] == pytest.approx([-0.1, 0, 0.1, 1, 10, 100])
    assert symlog_ticks(-300, -0.5, 0.1)[0] == pytest.approx([-100, -10, -1])
    assert [power_text(v) for v in (0, -0.01, 10.0, 1e-4, -1e5)] == [
        *("0", "−0.01", "10", "10⁻⁴", "−10⁵")
    ]


@pytest.mark.parametrize("seed", range(5))
def test_names_move_as_little_as_possible(seed):
    """No other arrangement with these gaps is nearer: small moves of any block cost more."""
    rng = np.random.default_rng(seed)
    heights, gap = rng.uniform(0.3, 0.7, 6), 0.06
    found = spread(heights, gap)
    ordered = np.sort(found)
    assert np.argsort(found).tolist() == np.argsort(heights).tolist()
    assert (np.diff(ordered) > gap - 1e-12).all()
    cost = ((found - heights) ** 2).sum()
    for _ in range(200):
        other = np.sort(found + rng.normal(0, 0.01, 6))
        if (np.diff(other) >= gap).all():
            assert ((other - np.sort(heights)) ** 2).sum() >= cost - 1e-9


def test_names_stay_in_the_panel():
    found = spread(np.array([0.0, 0.0, 1.0, 1.0]), 0.2)
    assert found == pytest.approx([0, 0.2, 0.8, 1.0])


def test_long_gaps_are_dotted_in_both():
    epochs = np.array([0, 10, 50, 160, 170, 190, 200])
    assert long_gaps(epochs).tolist() == [False, False, True, False, False, False]
    y = np.arange(7.0)
    line = Line("a", epochs, y, "#000000", ("o", "circle"), sparse=True, error=np.ones(7))
    chart = Chart([[Panel("", [line], Axis("epoch"))]], "", (3, 2), 300)
    with paper_style():
        (axes,) = chart.draw().axes
    (dotted,) = [one for one in axes.lines if one.get_linestyle() == ":"]
    assert dotted.get_xdata().tolist() == [50, 160]
    solid, gap = chart.page().data
    assert gap.line.dash == "dot"
    assert gap.x[:2].tolist() == [50, 160]
    assert np.isnan(solid.y).sum() == 1
    assert solid.x[~np.isnan(solid.y)].tolist() == epochs.tolist()
