"""Figures of sharpness: loss under noise, and the weighted loss of each class."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from figures.kinds import class_loss, noise
from figures.request import Request
from landscape.errors import InputError
from tests.figures.records import drawn, line, provenance, saved_run, sharpness_record, titled


@pytest.fixture
def histories(tmp_path):
    """Save sharpness at three epochs as runs ``name=(method, fields)`` and ask for them."""

    def build(scopes=(), **runs):
        saved = []
        for name, (method, fields) in runs.items():
            results = [
                (
                    sharpness_record(progress=epoch / 200, **fields),
                    provenance(
                        "sharpness",
                        f"epoch_{epoch:04d}",
                        run=name,
                        method=method,
                        reweighting_epoch=160 if "drw" in method else None,
                    ),
                )
                for epoch in (0, 100, 200)
            ]
            saved.append(saved_run(tmp_path / name, *results))
        return Request(tuple(saved), scopes=scopes)

    return build


def test_noise_draws_the_mean_and_the_range(histories):
    request = histories(ce=("ce", {}), sam=("ce+sam", {"sharp": 0.3}))
    figure = drawn(noise, request)
    assert len(figure.axes) == 4
    record = sharpness_record()
    top, bottom = figure.axes[0], figure.axes[2]
    assert top.get_title() == "ce\nnoise on the classifier"
    assert top.get_ylabel() == "training loss\nany size of noise"
    assert bottom.get_ylabel() == "training loss\nnear the checkpoint"
    assert (top.get_xscale(), top.get_yscale(), bottom.get_yscale()) == ("log", "log", "linear")
    assert top.get_ylim() == figure.axes[1].get_ylim()
    assert line(top, "tail").get_xdata() == pytest.approx(record.ratio)
    assert line(top, "tail").get_ydata() == pytest.approx(record.loss[:, :, 3].mean(axis=1))
    band = top.collections[3].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx(
        (record.loss[:, :, 3].min(), record.loss[:, :, 3].max())
    )
    local = record.ratio[record.ratio <= 0.1]
    assert line(bottom, "tail").get_xdata() == pytest.approx(local)
    starts = [artist.get_ydata()[0] for artist in top.lines if len(artist.get_xdata()) == 2]
    assert starts == pytest.approx(record.start.tolist())
    assert "5 draws" in figure.get_supxlabel()
    page = noise.read(request).page()
    assert len(page.data) == 2 * 2 * 4 * 2
    assert sum(trace.showlegend for trace in page.data) == 4


def test_a_group_has_its_marker_where_another_is_missing(histories):
    fewer = {"scope": np.array(["overall", "head", "tail", "class/0"])}
    whole, lacking = noise.read(histories(a=("ce", {}), b=("ce+sam", fewer))).rows[0]
    own = {line.label: line.marker for line in whole.lines}
    other = {line.label: line.marker for line in lacking.lines}
    for name in ("overall", "head", "tail"):
        assert own[name] == other[name]
    assert len(set(own.values())) == 4


def test_noise_breaks_where_a_loss_is_not_finite(histories):
    loss = sharpness_record().loss.copy()
    loss[-1, 2, 0], loss[-2, :, 0] = np.inf, np.nan
    request = histories(("overall",), ce=("ce", {"loss": loss, "perturbed": np.array("all")}))
    figure = drawn(noise, request)
    title = "ce\nnoise on all parameters\n6 of 75 losses are not finite"
    assert figure.axes[0].get_title() == title
    assert np.isnan(line(figure.axes[0], "overall").get_ydata()[-2:]).all()
    with pytest.raises(InputError, match="unknown scope of this result 'class/4'"):
        noise.read(replace(request, scopes=("class/4",)))


def test_noise_without_small_sizes_is_one_row(histories):
    ratio = np.linspace(0, 3, 15)
    figure = drawn(noise, histories(ce=("ce", {"ratio": ratio})))
    assert len(figure.axes) == 1
    assert line(figure.axes[0], "head").get_xdata() == pytest.approx(ratio[1:])
    with pytest.raises(InputError, match="no noise above 0"):
        noise.read(histories(none=("ce", {"ratio": np.zeros(15)})))


def test_class_loss_has_a_line_a_class(histories):
    request = histories(("classes",), ce=("ce", {}), drw=("ce-drw", {}))
    figure = drawn(class_loss, request)
    plain, reweighted = titled(figure)
    assert (plain.get_title(), reweighted.get_title()) == ("ce", "ce-drw")
    assert plain.get_yscale() == "log"
    names = {f"class {c}" for c in range(10)}
    assert {text.get_text().strip() for text in reweighted.texts} == {"re-weighting"} | names
    assert {text.get_text() for text in plain.texts} == names
    tail = line(plain, "class 9")
    expected = [sharpness_record(progress=p).weighted_loss[9] for p in (0, 0.5, 1)]
    assert tail.get_xydata().tolist() == [
        [epoch, pytest.approx(value)] for epoch, value in zip((0, 100, 200), expected, strict=True)
    ]
    lightness = [sum(to_rgb(line(plain, f"class {c}").get_color())) for c in range(10)]
    assert lightness == sorted(lightness)
    assert len(class_loss.read(request).page().data) == 20


def test_class_loss_of_chosen_classes(histories):
    zero = np.zeros(10)
    request = histories(("class/9", "class/0"), ce=("ce", {"weighted_loss": zero}))
    (panel,) = class_loss.read(request).panels
    assert [line.label for line in panel.lines] == ["class 0", "class 9"]
    assert all(np.isnan(line.y).all() for line in panel.lines)
    with pytest.raises(InputError, match="unknown scope 'tails'"):
        class_loss.read(replace(request, scopes=("tails",)))


def test_class_loss_of_a_group_is_the_sum_of_its_classes(histories):
    (panel,) = class_loss.read(histories(ce=("ce", {}))).panels
    assert [line.label for line in panel.lines] == ["head", "mid", "tail"]
    parts = sharpness_record(progress=1.0).weighted_loss
    assert [line.y[-1] for line in panel.lines] == pytest.approx(
        [parts[:3].sum(), parts[3:7].sum(), parts[7:].sum()]
    )
