"""Texts of figures fit: long names are shortened, ticks turned, titles wrapped."""

from itertools import pairwise

import matplotlib.pyplot as plt
import pytest

from figures.catalogue import read_figure
from figures.charts.fit import fit_texts
from figures.charts.names import short, short_names
from figures.output import paper_style
from figures.request import Request
from tests.figures.complete_run import complete_run

BREEDS = ["Labrador retriever", "Golden retriever", "German shepherd", "Egyptian cat"]
BREEDS += ["Persian cat", "Siberian husky", "Border collie", "Great Pyrenees", "Boston bull"]
BREEDS += ["Golden retriever, adult (Canis lupus familiaris), side view"]


def test_long_names_are_shortened_in_the_middle_and_stay_apart():
    view = "Golden retriever, adult (Canis lupus familiaris), {} view"
    sides = short_names([view.format("side"), view.format("front"), "cat"])
    assert sides[0].endswith("side view")
    assert sides[1].endswith("front view")
    assert sides[2] == "cat"
    assert all(len(name) <= 24 for name in sides)
    alike = short_names([f"a very long beginning {k} and as long an end" for k in range(3)])
    assert len(set(alike)) == 3
    assert short("&lt;" * 20) == "&lt;" * 20


@pytest.fixture(scope="module")
def breeds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("breeds")
    return complete_run(folder / "run", 0.1, BREEDS)


@pytest.mark.parametrize(
    "kind", ["confusion", "conflicts", "spikes", "basin", "gradient-noise", "embedding"]
)
def test_class_names_of_ordinary_length_fit(kind, breeds):
    with paper_style():
        figure = read_figure(kind, Request((breeds,))).fitted()
        figure.draw_without_rendering()
    width, height = figure.bbox.width, figure.bbox.height
    for axes in figure.axes:
        labels = [t for t in axes.get_xticklabels() if t.get_text() and t.get_visible()]
        boxes = sorted((t.get_window_extent() for t in labels), key=lambda box: box.x0)
        if any(t.get_text()[0].isalpha() for t in labels):
            assert all(a.x1 <= b.x0 + 0.5 for a, b in pairwise(boxes))
        texts = [*labels, axes.title, axes.yaxis.label, axes.xaxis.label]
        low, high = sorted(axes.get_ylim())
        ticks = zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
        texts += [text for place, text in ticks if low <= place <= high and text.get_visible()]
        for text in (t for t in texts if t.get_text()):
            box = text.get_window_extent()
            assert min(box.x0, box.y0) > -1, text
            assert box.x1 < width + 1, text
            assert box.y1 < height + 1, text
        assert axes.get_window_extent().height > 0.1 * height


def test_a_title_wider_than_its_figure_is_wrapped_and_a_short_one_is_not():
    with paper_style():
        figure, axes = plt.subplots(figsize=(2, 1.5))
        axes.set_title("a title that is much too long for a figure of two inches")
        fit_texts(figure)
        figure.draw_without_rendering()
        assert axes.title.get_window_extent().width <= figure.bbox.width
        assert figure.get_figheight() > 1.5
        other, axes = plt.subplots(figsize=(2, 1.5))
        axes.set_title("short\n\nlines")
        axes.set_xticks([0, 1], ["a", "b"])
        fit_texts(other)
    assert axes.get_title() == "short\n\nlines"
    assert other.get_figheight() == 1.5
    assert {t.get_rotation() for t in axes.get_xticklabels()} == {0.0}


def test_labels_of_neighbours_do_not_touch():
    with paper_style():
        figure, places = plt.subplots(1, 3, figsize=(5, 2))
        for axes in places:
            axes.set_xlabel("principal direction 1 (71.0 % of the variance)")
        before = figure.get_figheight()
        fit_texts(figure).draw_without_rendering()
    boxes = [axes.xaxis.label.get_window_extent() for axes in places]
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
    assert figure.get_figheight() > before
