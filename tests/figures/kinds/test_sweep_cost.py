"""Sweeps, costs, gains and focal weights of made-up runs: what is joined, drawn and refused."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.text import Text
from scipy.integrate import trapezoid

from figures.charts.point_labels import label_points
from figures.kinds import cost, flattening, focal_weights, sweep
from figures.output import paper_style
from figures.runs.settings import differing, flat_settings
from landscape.errors import InputError
from tests.figures.run_records import accuracy, gradients, plan, request, spectrum, write_run


@pytest.fixture
def radii(tmp_path):
    """Two methods at three radii and two seeds: overall 0.7 + rho / 10, and 0.02 a seed."""
    return [
        write_run(
            tmp_path / f"{method}-{rho}-{seed}",
            method,
            accuracy((0.7 + rho / 10 + 0.02 * seed, 0.9, 0.7, rho / 2)),
            spectrum(-1 / rho),
            rule={"rho": rho},
            seed=seed,
        )
        for method in ("ce+sam", "ldam+sam")
        for rho in (0.5, 0.1, 1.0)
        for seed in (0, 1)
    ]


def test_a_sweep_finds_its_setting_and_joins_seeds(radii):
    found = sweep.sweep(request(*radii))
    assert found.setting == "rule.rho"
    assert [line.label for line in found.lines] == ["ce+sam (2 seeds)", "ldam+sam (2 seeds)"]
    for line in found.lines:
        assert line.x == (0.1, 0.5, 1.0)
        assert line.mean[:, 0] == pytest.approx([72, 76, 81])
        assert line.std[:, 0] == pytest.approx(2 / np.sqrt(2))
    assert found.is_logarithmic
    assert found.axis().ticks == ([0.1, 0.5, 1.0], ["0.1", "0.5", "1"])


def test_a_page_says_as_many_digits_as_the_deviation_allows(radii):
    trace = sweep.read(request(*radii)).page().data[0]
    assert trace.customdata.tolist() == ["72.0 ± 1.4", "76.0 ± 1.4", "81.0 ± 1.4"]
    assert trace.hovertemplate == "%{x}: %{customdata}"


def test_a_sweep_of_several_numbers_has_a_panel_each(radii):
    asked = request(*radii, options={"y": "tail:lambda_min", "scope": "class/9"})
    with paper_style():
        figure = sweep.read(asked).draw()
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "tail accuracy, % (split 'saddle')",
        "λmin, class 9",
    ]
    assert all(axes.get_xlabel() == "ρ" for axes in figure.axes)
    mean = sweep.sweep(asked).lines[0].mean
    assert mean[:, 0] == pytest.approx([5, 25, 50])
    assert mean[:, 1] == pytest.approx([-10, -2, -1])
    assert len(sweep.read(asked).page().data) == 4


def test_runs_without_the_setting_are_levels(radii, tmp_path):
    base = write_run(tmp_path / "base", "ce", accuracy((0.6, 0.9, 0.5, 0.3)))
    found = sweep.sweep(request(*radii, base))
    level = found.lines[-1]
    assert (level.label, level.x, level.mean.tolist()) == ("ce", (), [[60.0]])
    with paper_style():
        figure = sweep.read(request(*radii, base)).draw()
    assert figure.legends[0].get_texts()[0].get_text() == "ce"


def test_a_wide_setting_is_logarithmic_and_one_of_words_has_ticks(tmp_path):
    wide = [
        write_run(tmp_path / f"s{k}", "ce+gsa", accuracy(), rule={"scale": 10.0**-k})
        for k in range(1, 5)
    ]
    assert sweep.sweep(request(*wide)).is_logarithmic
    words = [
        write_run(tmp_path / name, "ce+plot", accuracy(), rule={"layers": name})
        for name in ("last", "all")
    ]
    with paper_style():
        figure = sweep.read(request(*words)).draw()
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["all", "last"]


def test_a_sweep_of_the_epochs_forgives_what_they_stretch(tmp_path):
    runs = [
        write_run(
            tmp_path / str(epochs),
            "ce",
            accuracy(),
            epochs=epochs,
            milestones=[int(0.8 * epochs)],
            warmup_epochs=epochs // 40,
        )
        for epochs in (100, 200)
    ]
    assert sweep.sweep(request(*runs)).setting == "recipe.epochs"
    assert len(sweep.sweep(request(*runs)).lines) == 1


def test_a_whole_number_and_its_float_are_one_value():
    runs = [flat_settings(plan(imbalance=imbalance)) for imbalance in (100, 100.0)]
    assert differing(runs) == []


def test_conflicts_against_the_imbalance(tmp_path):
    runs = [
        write_run(tmp_path / f"{i}", "ce", gradients(dominated), imbalance=i)
        for i, dominated in ((10, 9), (100, 18))
    ]
    found = sweep.sweep(request(*runs, options={"y": "dominated"}))
    assert found.setting == "imbalance"
    assert found.lines[0].mean[:, 0] == pytest.approx([20, 40])


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ([{"lr": 0.1}, {"lr": 0.2, "batch_size": 64}], {}, "differ in recipe.batch_size, recipe"),
        ([{}, {"seed": 1}], {}, "no two of these runs"),
        ([{"lr": 0.1}, {"lr": 0.2}], {"x": "rho"}, "unknown setting 'rho'"),
        ([{}, {"seed": 1}], {"x": "lr"}, "these runs all have lr 0.1"),
        ([{"lr": 0.1}, {"lr": 0.2}], {"y": "tial"}, "did you mean 'tail'"),
        ([{"lr": 0.1}, {"lr": 0.2}], {"y": "class/77"}, "unknown class"),
        ([{"lr": 0.1}, {"lr": 0.1}, {"lr": 0.2}], {}, "agree on every setting and on the seed 0"),
    ],
)
def test_a_sweep_says_what_is_wrong(tmp_path, changes, options, words):
    runs = [
        write_run(tmp_path / str(k), "ce", accuracy(), **change) for k, change in enumerate(changes)
    ]
    with pytest.raises(InputError, match=words):
        sweep.sweep(request(*runs, options=options))


def test_a_setting_of_two_parts_needs_its_full_name(tmp_path):
    runs = [
        write_run(
            tmp_path / str(scale), "bcl+gsa", accuracy(), loss={"scale": 30}, rule={"scale": scale}
        )
        for scale in (0.1, 0.2)
    ]
    with pytest.raises(InputError, match=r"say loss\.scale or rule\.scale"):
        sweep.sweep(request(*runs, options={"x": "scale"}))
    assert sweep.sweep(request(*runs, options={"x": "rule.scale"})).lines[0].x == (0.1, 0.2)


@pytest.fixture
def costly(tmp_path):
    seconds = {"ce": 2.0, "ce+sam": 4.0, "ce+cc-sam": 9.0}
    return [
        write_run(
            tmp_path / f"{method}-{seed}",
            method,
            accuracy((0.7 + 0.01 * k + 0.02 * seed, 0.9, 0.7, 0.5)),
            seconds=each,
            seed=seed,
        )
        for k, (method, each) in enumerate(seconds.items())
        for seed in (0, 1)
    ]


def test_cost_takes_the_median_epoch_and_sam_as_the_unit(costly):
    found = cost.read(request(*costly))
    assert [point.seconds[1] for point in found.points] == pytest.approx([2, 4, 9])
    assert [point.mean for point in found.points] == pytest.approx([71, 72, 73])
    assert found.points[0].std == pytest.approx(2 / np.sqrt(2))
    assert found.base is not None
    assert found.base.label == "ce+sam"
    assert found.unit == "seconds an epoch on cuda"
    with paper_style():
        figure = cost.read(request(*costly)).draw()
    (axes,) = figure.axes
    assert {text.get_text() for text in axes.texts} == {"ce", "ce+sam", "ce+cc-sam"}
    (ratio,) = axes.child_axes
    assert ratio.get_xlabel() == "ratio to ce+sam"
    figure.draw_without_rendering()
    assert ratio.get_xlim()[1] == pytest.approx(axes.get_xlim()[1] / 4)
    assert "2.25 of ce+sam" in cost.read(request(*costly)).page().data[2].hovertemplate


def test_cost_without_sam_has_no_ratio(costly):
    with paper_style():
        figure = cost.read(request(*costly[:2])).draw()
    assert not figure.axes[0].child_axes


def test_cost_refuses_what_does_not_compare(costly, tmp_path):
    other = write_run(tmp_path / "other", "ce", accuracy(), seconds=1, data="cifar100")
    with pytest.raises(InputError, match=r"over different data: cifar10 .*, cifar100"):
        cost.read(request(*costly, other))
    untimed = write_run(tmp_path / "untimed", "ce+asam", accuracy())
    with pytest.raises(InputError, match=r"no metrics\.jsonl with train_seconds"):
        cost.read(request(*costly, untimed))
    (untimed.path / "metrics.jsonl").write_text("{")
    with pytest.raises(InputError, match="is not one JSON object a line"):
        cost.read(request(*costly, untimed))


def test_labels_of_close_points_stand_apart():
    with paper_style():
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(figsize=(3, 2))
        places = np.array([(1.0, 1.0), (1.02, 1.01), (1.01, 0.99)])
        axes.plot(*places.T, "o")
        axes.set(xlim=(0, 2), ylim=(0, 2))
        label_points(figure, axes, ["first", "second", "third"], places)
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(note) for note in axes.texts]  # without their lines
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[k + 1 :])


def test_labels_of_many_points_in_a_corner_stand_apart():
    rng = np.random.default_rng(0)
    places = np.vstack([rng.uniform((0.03, 94), (0.12, 97), (14, 2)), [(0.8, 95.5)]])
    names = [f"method-{k}+sam" for k in range(15)]
    with paper_style():
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(figsize=(3.25, 2.5))
        axes.set(xlim=(0, 1.2), ylim=(93, 98))
        label_points(figure, axes, names, places)
    figure.draw_without_rendering()
    frame = axes.get_window_extent()
    boxes = [Text.get_window_extent(note) for note in axes.texts]  # without their lines
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[k + 1 :])
    points = axes.transData.transform(places)
    assert not any(box.contains(*point) for box in boxes for point in points)
    assert all(frame.containsx(box.x0) and frame.containsx(box.x1) for box in boxes)


def test_gains_are_taken_seed_by_seed(costly):
    found = flattening.read(request(*costly))
    assert found.base == "ce (2 seeds)"
    assert found.accuracy[0] == pytest.approx(71)
    assert [gain.mean[0] for gain in found.gains] == pytest.approx([1, 2])
    assert [gain.std[0] for gain in found.gains] == pytest.approx([0, 0], abs=1e-9)
    with paper_style():
        figure = flattening.read(request(*costly)).draw()
    assert len(figure.axes[0].patches) == 8
    assert {"+1.0", "+2.0"} <= {text.get_text() for text in figure.axes[0].texts}


def test_gains_over_other_seeds_add_their_spreads(costly, tmp_path):
    new = [
        write_run(
            tmp_path / f"n{seed}",
            "ce+asam",
            accuracy((0.7 + 0.01 * seed, 0.9, 0.7, 0.5)),
            seed=seed,
        )
        for seed in (5, 6)
    ]
    (gain,) = flattening.read(request(*costly[:2], *new)).gains
    assert gain.std[0] == pytest.approx(np.hypot(2, 1) / np.sqrt(2))


@pytest.mark.parametrize("settings", [3, 8])
def test_numbers_over_bars_do_not_cover_each_other(settings):
    rng = np.random.default_rng(0)
    gains = [flattening.Gain(f"m{k}", *rng.normal(size=(2, 4)) ** 2) for k in range(settings)]
    with paper_style():
        figure = flattening.Gains("ce", np.full(4, 50.0), gains, "saddle").fitted()
        figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 4 * settings
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    assert all(axes.bbox.y0 <= box.y0 and box.y1 <= axes.bbox.y1 for box in boxes)


@pytest.mark.parametrize(
    ("settings", "shown", "wide"), [(2, True, False), (4, True, True), (9, False, None)]
)
def test_numbers_stand_over_bars_that_leave_room(settings, shown, wide):
    values = np.array([1.0, 0.0, -0.5, 8.0])
    gains = [flattening.Gain(f"m{k}", values, values) for k in range(settings)]
    page = flattening.Gains("ce", values, gains, "saddle").page()
    numbers = [trace for trace in page.data if trace.type == "scatter"]
    assert len(page.data) == settings * (1 + shown)
    assert {trace.meta["wide"] for trace in numbers} == ({wide} if shown else set())
    assert [n.text[3] for n in numbers] == ["+8.0"] * len(numbers)


def test_gains_need_something_beside_the_base(costly):
    with pytest.raises(InputError, match="flattening BASE RUN"):
        flattening.read(request(*costly[:2]))


def test_focal_weights_of_few_classes_are_marks_and_shares(tmp_path):
    runs = [write_run(tmp_path / name, "ce", accuracy()) for name in ("a", "b")]
    (panel,) = focal_weights.read(request(*runs, options={"gammas": "1:2"})).tails
    assert panel.gammas == (1, 2)
    frequency = panel.counts / panel.counts.sum()
    assert panel.weights == pytest.approx(np.array([1 - frequency, (1 - frequency) ** 2]))
    x, share = panel.curve(0)
    assert x[1:-1].tolist() == sorted(1 - frequency)
    assert share[1:-1] == pytest.approx(np.arange(1, 11) / 10)
    with paper_style():
        figure = focal_weights.read(request(*runs)).draw()
    assert figure.axes[0].get_ylabel() == "share of the classes\nwith at most this weight"
    assert len(figure.axes[0].lines) == 10


def test_focal_weights_of_many_classes_are_a_density(tmp_path):
    run = write_run(tmp_path / "a", "ce", spectrum(), data="cifar100")
    write_run(run.path, "ce", accuracy(classes=100), data="cifar100")
    (panel,) = focal_weights.read(request(run)).tails
    grid = np.linspace(0, 1, 40_001)
    for values in panel.weights:
        density = focal_weights.mirrored_density(values, grid)
        assert trapezoid(density, grid) == pytest.approx(1, abs=1e-3)
    assert panel.title == "cifar100, imbalance 100 (100 classes)"


def test_focal_weights_take_the_counts_of_a_spectrum(tmp_path):
    run = write_run(tmp_path / "a", "ce", spectrum())
    assert len(focal_weights.read(request(run)).tails) == 1
    with pytest.raises(InputError, match="gammas=1:x is not of the form"):
        focal_weights.read(request(run, options={"gammas": "1:x"}))
    empty = write_run(tmp_path / "b", "ce")
    with pytest.raises(InputError, match="has no accuracy of checkpoint 'last'; run"):
        focal_weights.read(request(empty))
