"""Figures of features: quality over training, head-tail similarity, embedding."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from figures.kinds import cca, embedding, feature_quality
from figures.output import paper_style
from figures.request import Request
from landscape.errors import InputError
from landscape.results.features import Features
from landscape.results.similarity import Similarity
from tests.figures.gradient_records import EPOCHS, features, gradients, save_run, similarity


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def drawn(module, request):
    with paper_style():
        return module.read(request).draw()


def asked(*runs, scopes=(), **options):
    return Request(tuple(runs), "last", scopes, options)


def column_of(chart):
    """The values of a figure of one run (3, S, T)."""
    return np.array([[line.y for line in row[0].lines] for row in chart.rows])


@pytest.fixture
def run(tmp_path):
    save_run(tmp_path / "plain", similarity)
    return save_run(tmp_path / "plain", features, embedded=60)


@pytest.fixture
def other(tmp_path):
    save_run(tmp_path / "sam", similarity, method="ce-drw+sam")
    return save_run(tmp_path / "sam", features, method="ce-drw+sam", embedded=60)


def test_feature_quality_has_three_rows_and_a_column_a_run(run, other):
    figure = drawn(feature_quality, asked(run, other))
    axes = np.array(figure.axes).reshape(3, 2)
    assert [place.get_title() for place in axes[0]] == ["ce-drw", "ce-drw+sam"]
    words = [place.get_ylabel().splitlines()[0] for place in axes[:, 0]]
    assert words == ["quality", "separation Dist", "log-variance"]
    assert all(row[0].get_ylim() == row[1].get_ylim() for row in axes)
    for place in axes.flat:
        assert [line.get_label() for line in place.lines[:2]] == ["head", "tail"]
        assert place.lines[0].get_xdata().tolist() == list(EPOCHS)
        assert {text.get_text().strip() for text in place.texts} >= {"head", "tail"}
    assert not figure.legends


def test_feature_quality_is_the_mean_over_the_groups_classes(run):
    values = column_of(feature_quality.read(asked(run)))
    record, _ = run.load(Features, "last")
    quality, separation, logarithm = values[:, :, -1]
    assert separation == pytest.approx([record.separation[:3].mean(), record.separation[7:].mean()])
    assert logarithm[1] == pytest.approx(np.log(record.variance[7:]).mean())
    assert quality == pytest.approx(separation - 0.5 * logarithm)


def test_feature_quality_by_the_released_formula(run):
    request = asked(run, scopes=("overall", "mid", "class/4"), formula="released")
    chart = feature_quality.read(request)
    record, _ = run.load(Features, "last")
    assert [line.label for line in chart.panels[0].lines] == ["overall", "mid", "class 4"]
    values = column_of(chart)
    assert values[0, 0, -1] == pytest.approx(record.quality_released.mean())
    assert values[0, 2, -1] == pytest.approx(record.quality_released[4])
    assert "−1/Dist − log Var" in drawn(feature_quality, request).axes[0].get_ylabel()
    with pytest.raises(InputError, match=r"--options formula 'papers'.*did you mean 'paper'"):
        feature_quality.read(asked(run, formula="papers"))


def test_a_class_of_one_sample_leaves_a_gap(tmp_path):
    def lonely(progress, seed):
        record = features(progress, seed=seed)
        variance = record.variance.copy()
        variance[9] = 0
        with np.errstate(divide="ignore"):
            quality = record.separation - 0.5 * np.log(variance)
        return replace(record, variance=variance, quality=quality)

    run = save_run(tmp_path / "run", lonely)
    assert np.isneginf(column_of(feature_quality.read(asked(run)))[2, 1]).all()
    figure = drawn(feature_quality, asked(run))
    assert np.isfinite(figure.axes[2].get_ylim()).all()


def test_feature_quality_page(run, other):
    page = feature_quality.read(asked(run, other)).page()
    assert len(page.data) == 12
    assert [trace.name for trace in page.data if trace.showlegend] == ["head", "tail"]
    assert np.array_equal(page.data[0].y, column_of(feature_quality.read(asked(run)))[0, 0])


def test_cca_draws_score_error_and_baseline_of_each_run(run, other):
    figure = drawn(cca, asked(run, other))
    (axes,) = figure.axes
    assert len(axes.containers) == 2
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    for bars, base, one in zip(axes.containers, dashed, (run, other), strict=True):
        records = [one.load(Similarity, name)[0] for name in one.checkpoints(Similarity)]
        assert bars.lines[0].get_ydata().tolist() == [float(r.head_tail[0]) for r in records]
        assert base.get_ydata().tolist() == [float(r.head_tail_baseline[0]) for r in records]
        assert base.get_color() == bars.lines[0].get_color()
        low, high = bars.lines[2][0].get_segments()[0][:, 1]
        assert high - low == pytest.approx(2 * records[0].head_tail_sem[0])
    (legend,) = figure.legends
    note = legend.get_title().get_text().replace("\n", " ")
    assert "class-balanced draws: n = 600 rows a side, d = 64, 20 draws" in note
    words = [text.get_text() for text in legend.get_texts()]
    assert words == ["ce-drw", "ce-drw+sam", "baseline: the same with rows shuffled"]


@pytest.mark.parametrize("measure", ["cca", "svcca", "pwcca", "cka"])
def test_cca_by_another_measure(run, measure):
    score, baseline = cca.read(asked(run, measure=measure)).panels[0].lines
    record, _ = run.load(Similarity, "last")
    at = record.measure.tolist().index(measure)
    assert score.y[-1] == record.head_tail[at]
    assert baseline.y[-1] == record.head_tail_baseline[at]
    assert measure.upper() in drawn(cca, asked(run, measure=measure)).axes[0].get_ylabel()


def test_cca_refuses_a_measure_that_was_not_taken(tmp_path):
    run = save_run(tmp_path / "run", similarity, measures=("cka", "svcca"))
    with pytest.raises(InputError, match=r"holds no cca, only cka, svcca; use --options measure=c"):
        cca.read(asked(run))
    with pytest.raises(InputError, match="unknown --options measure 'rsa'"):
        cca.read(asked(run, measure="rsa"))


def test_cca_refuses_similarities_of_two_checkpoints(tmp_path):
    def paired(progress, seed):
        nothing = np.full(4, np.nan)
        ends = dict.fromkeys(("head_tail", "head_tail_sem", "head_tail_baseline"), nothing)
        record = similarity(progress, seed=seed)
        return replace(record, paired=np.array("checkpoint best"), **ends)

    run = save_run(tmp_path / "run", paired)
    with pytest.raises(InputError, match=r"no head-tail score \(rows matched by checkpoint best\)"):
        cca.read(asked(run))


def test_cca_names_what_differs_between_runs(run, tmp_path):
    def fewer(progress, seed):
        return replace(similarity(progress, seed=seed), rows=np.array(400 + int(100 * progress)))

    short = save_run(tmp_path / "short", fewer, method="bs")
    (axes,) = drawn(cca, asked(run, short)).axes
    label = axes.containers[1].get_label()
    assert label == "bs\n(class-balanced draws: n = 400–500 rows a side, d = 64, 20 draws)"


def test_cca_page(run, other):
    page = cca.read(asked(run, other)).page()
    assert [trace.name for trace in page.data] == [
        "ce-drw",
        "ce-drw, shuffled",
        "ce-drw+sam",
        "ce-drw+sam, shuffled",
    ]
    assert np.array_equal(page.data[0].error_y.array, np.full(len(EPOCHS), 0.015))
    assert "n = 600" in page.layout.title.text


def test_embedding_shows_every_class_in_its_colour(run, other):
    figure = drawn(embedding, asked(run, other))
    assert [axes.get_title() for axes in figure.axes] == [
        "ce-drw, epoch 200",
        "ce-drw+sam, epoch 200",
    ]
    record, _ = run.load(Features, "last")
    clouds = figure.axes[0].collections
    for c, cloud in enumerate(clouds):
        assert np.array_equal(cloud.get_offsets(), record.embedding[record.label == c])
    assert len({to_hex(cloud.get_facecolor()[0]) for cloud in clouds}) == 10
    assert len({cloud.get_paths()[0].vertices.tobytes() for cloud in clouds}) == 10
    (legend,) = figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert words[0] == "class 0: 5000"
    assert words[-1] == "class 9: 50"


def test_embedding_of_runs_with_other_counts_has_two_legends(run, tmp_path):
    def balanced(progress, seed):
        record = features(progress, seed=seed, embedded=60)
        return replace(record, training_count=np.full(10, 500))

    even = save_run(tmp_path / "even", balanced, method="ce")
    figure = drawn(embedding, asked(run, even))
    assert not figure.legends
    assert figure.axes[1].get_legend().get_texts()[0].get_text() == "class 0: 500"
    assert all(trace.showlegend for trace in embedding.read(asked(run, even)).page().data)


def test_embedding_of_many_classes_has_a_colour_scale(tmp_path):
    run = save_run(tmp_path / "run", features, classes=100, embedded=300, epochs=(200,))
    figure = drawn(embedding, asked(run))
    assert not figure.legends
    assert [t.get_text() for t in figure.axes[-1].get_yticklabels()] == ["head", "tail"]


def test_embedding_says_how_to_get_one(tmp_path):
    run = save_run(tmp_path / "run", features)
    command = "--analyses features --checkpoints last --features.embedding 200 --overwrite"
    with pytest.raises(InputError, match=command):
        embedding.read(asked(run))
    with pytest.raises(InputError, match="no features of checkpoint '7'"):
        embedding.read(Request((run,), "7"))


def test_embedding_page(run, other):
    page = embedding.read(asked(run, other)).page()
    assert len(page.data) == 20
    assert sum(trace.showlegend for trace in page.data) == 10
    assert len({trace.marker.symbol for trace in page.data}) == 10
    record, _ = run.load(Features, "last")
    assert sum(len(trace.x) for trace in page.data[:10]) == len(record.label)
    assert page.layout.yaxis2.scaleanchor == "x2"


@pytest.mark.parametrize("module", [feature_quality, cca])
def test_a_run_without_results_gets_the_command(tmp_path, module):
    run = save_run(tmp_path / "run", gradients, epochs=(200,))
    with pytest.raises(InputError, match=r"run: tailscape diagnose .* --checkpoints all"):
        module.read(asked(run)).draw()
