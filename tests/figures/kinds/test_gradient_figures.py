"""Figures of class gradients: conflicts, similarity and norms over training."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from figures.kinds import conflicts, gradient_norm, gradient_similarity
from figures.output import paper_style
from figures.request import Request
from landscape.errors import InputError
from landscape.results.gradients import Gradients
from tests.figures.gradient_records import EPOCHS, features, gradients, save_run

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def drawn(module, request):
    with paper_style():
        return module.read(request).draw()


def asked(*runs, scopes=(), **options):
    return Request(tuple(runs), "last", scopes, options)


@pytest.fixture
def run(tmp_path):
    return save_run(tmp_path / "plain", gradients)


@pytest.fixture
def other(tmp_path):
    return save_run(tmp_path / "sam", gradients, method="ce-drw+sam")


def labels_of(panel):
    return [line.label for line in panel.lines]


def panels_of(figure):
    return [axes for axes in figure.axes if axes.get_title()]


def test_conflicts_of_every_run_on_one_symmetric_scale(run, other):
    figure = drawn(conflicts, asked(run, other))
    places = panels_of(figure)
    assert [axes.get_title().splitlines()[0] for axes in places] == [
        "ce-drw, epoch 200",
        "ce-drw+sam, epoch 200",
    ]
    for axes, one in zip(places, (run, other), strict=True):
        record, _ = one.load(Gradients, "last")
        (image,) = axes.get_images()
        assert image.get_clim() == (-1, 1)
        assert np.allclose(image.get_array(), record.similarity)
        share = 100 * int(record.conflicts) / int(record.pairs)
        said = f"conflicts {record.conflicts} of {record.pairs} pairs ({share:.0f} %),\n"
        assert said + f"dominated {record.dominated}" in axes.get_title()
        assert axes.get_xlabel() == "class, head to tail"
        assert len(axes.texts) == 100
        assert f"{record.similarity[0, 9]:.2f}".replace("-0.", "−.") in axes.texts[9].get_text()
    red, _, blue = to_rgb(to_hex(image.to_rgba(-0.8)))
    assert red > blue


def test_conflicts_order_classes_from_head_to_tail(tmp_path):
    def unordered(progress, seed):
        record = gradients(progress, seed=seed)
        return replace(record, training_count=record.training_count[::-1].copy())

    run = save_run(tmp_path / "run", unordered, names=NAMES)
    (panel,) = conflicts.read(asked(run)).panels
    assert panel.ticks == NAMES[::-1]
    record, _ = run.load(Gradients, "last")
    assert np.array_equal(panel.values, record.similarity[::-1, ::-1])
    assert panel.names[0] == "class 9 (truck), 5000 samples"


def test_a_class_without_samples_is_a_gap(tmp_path):
    run = save_run(tmp_path / "run", gradients, absent=(7,))
    figure = drawn(conflicts, asked(run))
    (axes,) = panels_of(figure)
    shown = axes.get_images()[0].get_array()
    assert shown.mask[7].all()
    assert shown.mask.sum() == 19
    assert len(axes.texts) == 81
    assert axes.get_facecolor()[0] == pytest.approx(0.75)
    assert "of 36 pairs" in axes.get_title()
    for module in (gradient_similarity, gradient_norm):
        (axes,) = panels_of(drawn(module, asked(run, scopes=("classes",))))
        assert not np.isfinite(lines_of(axes)[7].get_ydata()).any()


def test_conflicts_of_a_layer_are_counted_there(run):
    record, _ = run.load(Gradients, "last")
    (panel,) = conflicts.read(asked(run, layer="layer3")).panels
    assert np.array_equal(panel.values, record.layer_similarity[1])
    assert panel.title == "ce-drw, epoch 200, layer3"
    assert panel.summary == "conflicts 45 of 45 pairs (100 %),\ndominated 45"
    (stem,) = conflicts.read(asked(run, layer="stem")).panels
    (whole,) = conflicts.read(asked(run)).panels
    assert stem.summary == whole.summary
    with pytest.raises(InputError, match=r"unknown --options layer 'layer4'.*all, layer3, stem"):
        conflicts.read(asked(run, layer="layer4"))


def test_conflicts_without_a_pair(tmp_path):
    run = save_run(tmp_path / "run", gradients, absent=tuple(range(1, 10)), epochs=(200,))
    (panel,) = conflicts.read(asked(run)).panels
    assert panel.summary == "no pair of classes to compare"


def test_ticks_of_many_classes_are_thinned(tmp_path):
    run = save_run(tmp_path / "run", gradients, classes=100, epochs=(200,))
    (axes,) = panels_of(drawn(conflicts, asked(run)))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [str(10 * k) for k in range(10)]
    assert not axes.texts
    figure = drawn(gradient_similarity, asked(run, scopes=("classes",)))
    assert not figure.legends
    assert [t.get_text() for t in figure.axes[-1].get_yticklabels()] == ["head", "tail"]


def test_conflicts_page_hovers(run, other):
    page = conflicts.read(asked(run, other)).page()
    record, _ = run.load(Gradients, "last")
    assert len(page.data) == 2
    heat = page.data[0]
    assert np.allclose(heat.z, record.similarity, atol=1e-7)
    assert np.array_equal(heat.customdata, record.similarity_std)
    assert heat.x[9] == "class 9, 50 samples"
    assert "±" in heat.hovertemplate
    assert (page.layout.coloraxis.cmin, page.layout.coloraxis.cmax) == (-1, 1)
    assert "±" not in conflicts.read(asked(run, layer="stem")).page().data[0].hovertemplate


def lines_of(axes):
    return [line for line in axes.lines if line.get_label().startswith("class")]


def test_gradient_similarity_has_a_line_a_class(run, other):
    figure = drawn(gradient_similarity, asked(run, other, scopes=("classes",)))
    assert [axes.get_title() for axes in figure.axes] == ["ce-drw", "ce-drw+sam"]
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert figure.axes[0].get_ylabel().endswith("with the average over classes")
    for axes, one in zip(figure.axes, (run, other), strict=True):
        lines = lines_of(axes)
        assert [line.get_label() for line in lines] == [f"class {c}" for c in range(10)]
        assert lines[0].get_xdata().tolist() == list(EPOCHS)
        record, _ = one.load(Gradients, "40")
        at = EPOCHS.index(40)
        assert [line.get_ydata()[at] for line in lines] == record.similarity_to_mean.tolist()
        lightness = [sum(to_rgb(line.get_color())) for line in lines]
        assert lightness == sorted(lightness)
        assert any("re-weighting" in text.get_text() for text in axes.texts)
        assert {text.get_text() for text in axes.texts} >= {f"class {c}" for c in range(10)}
    assert not figure.legends


def test_groups_are_means_in_the_range_of_their_classes(run):
    (panel,) = gradient_similarity.read(asked(run)).panels
    assert labels_of(panel) == [line.end for line in panel.lines] == ["head", "mid", "tail"]
    record, _ = run.load(Gradients, "last")
    for line, members in zip(panel.lines, (slice(3), slice(3, 7), slice(7, 10)), strict=True):
        own = record.similarity_to_mean[members]
        assert line.y[-1] == pytest.approx(own.mean())
        assert [edge[-1] for edge in line.band] == [own.min(), own.max()]


def test_gradient_similarity_to_the_batch_and_to_the_direction(run, tmp_path):
    record, _ = run.load(Gradients, "last")
    batch = asked(run, against="batch", scopes=("classes",))
    (panel,) = gradient_similarity.read(batch).panels
    assert [line.y[-1] for line in panel.lines] == record.similarity_to_batch.tolist()
    with pytest.raises(InputError, match=r"plain' holds no similarity to what its rule follows.*-"):
        gradient_similarity.read(asked(run, against="direction"))

    def followed(progress, seed):
        found = gradients(progress, seed=seed)
        return replace(found, similarity_to_direction=found.similarity_to_mean / 2)

    rule = save_run(tmp_path / "rule", followed, method="plot")
    (panel,) = gradient_similarity.read(asked(rule, against="direction")).panels
    assert all(np.isfinite(line.y).all() for line in panel.lines)
    assert panel.reweighting is None


def test_bars_of_both_ends(run, other):
    figure = drawn(gradient_similarity, asked(run, other, view="bars", against="batch"))
    for axes, one in zip(figure.axes, (run, other), strict=True):
        labels = [bars.get_label() for bars in axes.containers]
        assert labels == ["class 0", "class 1", "class 8", "class 9"]
        record, _ = one.load(Gradients, "last")
        heights = [bars.datavalues[-1] for bars in axes.containers]
        assert heights == record.similarity_to_batch[[0, 1, 8, 9]].tolist()
        assert [t.get_text() for t in axes.get_xticklabels()] == [str(e) for e in EPOCHS]
    page = gradient_similarity.read(asked(run, other, view="bars")).page()
    assert {trace.type for trace in page.data} == {"bar"}
    assert len(page.data) == 8
    (chosen,) = gradient_similarity.read(asked(run, scopes=("class/4",), view="bars")).panels
    assert labels_of(chosen) == ["class 4"]


@pytest.mark.parametrize("classes", [2, 3])
def test_bars_of_few_classes_come_once(tmp_path, classes):
    run = save_run(tmp_path / "run", gradients, classes=classes)
    (panel,) = gradient_similarity.read(asked(run, view="bars")).panels
    assert labels_of(panel) == [f"class {c}" for c in range(classes)]


def test_lines_of_chosen_classes(run):
    (panel,) = gradient_similarity.read(asked(run, scopes=("class/9", "class/0"))).panels
    (whole,) = gradient_similarity.read(asked(run, scopes=("classes",))).panels
    assert labels_of(panel) == ["class 0", "class 9"]
    assert [line.colour for line in panel.lines] == [whole.lines[k].colour for k in (0, 9)]
    with pytest.raises(InputError, match="unknown scope 'tails'"):
        gradient_similarity.read(asked(run, scopes=("tails",)))


def test_runs_of_different_classes_are_refused(run, tmp_path):
    named = save_run(tmp_path / "named", gradients, names=NAMES)
    with pytest.raises(InputError, match="different classes"):
        gradient_similarity.read(asked(run, named, scopes=("classes",)))


def test_unknown_options_are_refused(run):
    with pytest.raises(InputError, match="did you mean 'batch'"):
        gradient_similarity.read(asked(run, against="batches")).draw()
    with pytest.raises(InputError, match=r"--options view 'dots'.*bars, lines"):
        gradient_similarity.read(asked(run, view="dots")).draw()


def test_gradient_norms_on_a_logarithmic_axis(run, other):
    classes = asked(run, other, scopes=("classes",))
    figure = drawn(gradient_norm, classes)
    record, _ = run.load(Gradients, "last")
    assert {axes.get_yscale() for axes in figure.axes} == {"log"}
    assert [line.get_ydata()[-1] for line in lines_of(figure.axes[0])] == record.norm_ratio.tolist()
    assert "norm of the average over classes" in figure.axes[0].get_ylabel()
    page = gradient_norm.read(classes).page()
    assert len(page.data) == 20
    assert sum(trace.showlegend for trace in page.data) == 10
    assert page.layout.yaxis.type == "log"
    assert np.array_equal(page.data[0].x, EPOCHS)


def test_four_runs_stand_in_a_square(tmp_path):
    methods = ("ce", "ldam", "bs", "vs")
    runs = [save_run(tmp_path / m, gradients, method=m, epochs=(0, 200)) for m in methods]
    figure = drawn(gradient_norm, asked(*runs))
    assert [axes.get_ylabel() != "" for axes in figure.axes] == [True, False, True, False]
    assert drawn(conflicts, asked(*runs[:3])).get_size_inches()[0] == 6.75


@pytest.mark.parametrize("module", [gradient_similarity, gradient_norm])
def test_a_run_without_gradients_gets_the_command(tmp_path, module):
    run = save_run(tmp_path / "run", features, epochs=(200,))
    with pytest.raises(InputError, match="--analyses gradients --checkpoints all"):
        module.read(asked(run))
    with pytest.raises(InputError, match="--analyses gradients --checkpoints last"):
        conflicts.read(asked(run))
