"""The tables of small records, written out in full, and what else records say of themselves."""

from dataclasses import fields, replace

import numpy as np
import pytest

from landscape.config import SpectrumConfig
from landscape.errors import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.corruption import ALEXNET, SEVERITIES, mean_corruption_error
from landscape.results.density import ritz_rounding, share_bounds, smoothed_density
from landscape.results.features import Features
from landscape.results.gradients import Gradients
from landscape.results.matrix import MatrixSpec
from landscape.results.result import scope_members
from landscape.results.sharpness import Sharpness
from landscape.results.similarity import Similarity
from landscape.results.spectrum import Spectrum
from landscape.results.surface import Surface
from landscape.results.table import Table, bracket, numbers, with_error, words
from tests.landscape.results.small_records import ACCURACY, CLASSES, NAN, origin, record, spectrum


def table(found):
    columns, note = found.table_columns()
    return list(columns), list(zip(*columns.values(), strict=True)), note


def test_accuracy():
    header, rows, note = table(ACCURACY)
    assert header == ["class", "train", "judged", "correct %"]
    assert rows == [("cat", "40", "10", "90"), ("dog", "4", "4", "25")]
    f, oltr = 2 * 6 / (2 * 6 + 2 + 3), 2 * 6 / (2 * 6 + 3 + 3)
    assert note == (
        "overall 71.43 % (split 'saddle'); worst class 25 %, ECE 12.35 %, "
        f"open-set F-measure {f:.4g} ({oltr:.4g} as OLTR)"
    )
    shares = ACCURACY.by_scope()
    assert list(shares) == ["overall", "tail", "class/0", "class/1"]
    assert [shares["overall"], shares["class/0"], shares["class/1"]] == [0.71428571, 0.9, 0.25]


def test_accuracy_without_calibration_open_set_or_samples():
    bare = replace(ACCURACY, ece=np.array([NAN, 0.5]), open_set=np.array([1.0, 1.0, 1.0, NAN]))
    assert bare.further() == "worst class 25 %"
    assert replace(ACCURACY, per_class=np.array([NAN, 0.5])).worst == 0.5
    assert np.isnan(replace(ACCURACY, per_class=np.full(2, NAN)).worst)
    assert np.isnan(replace(ACCURACY, open_set=np.zeros(4)).f_measure)
    assert replace(ACCURACY, open_set=np.array([0.0, 1.0, 0.0, 0.0])).f_measure == 0.0
    old = Accuracy.completed({"group_name": np.array(["overall"])})
    assert np.isnan(old["ece"]).tolist() == [True]
    assert np.isnan(old["open_set"]).tolist() == [True] * 4
    assert Accuracy.completed({"ece": np.array([0.1])})["ece"].tolist() == [0.1]


def test_gradients():
    found = record(
        Gradients,
        **CLASSES,
        share=np.array([0.9, 0.1]),
        loss=np.array([0.5, 2.0]),
        norm=np.array([0.25, 1.0]),
        norm_ratio=np.array([0.4, 1.6]),
        similarity_to_mean=np.array([0.1, 0.9]),
        similarity_to_batch=np.array([0.8, -0.2]),
        conflicts=np.array(1),
        dominated=np.array(0),
        pairs=np.array(3),
        mode=np.array("eval"),
        batches=np.array(2),
    )
    header, rows, note = table(found)
    names = ["class", "train", "used", "loss", "‖g‖", "‖g‖/‖g_mean‖", "cos to mean", "cos to all"]
    assert header == names
    assert rows == [
        ("cat", "40", "20", "0.5", "0.25", "0.4", "0.1", "0.8"),
        ("dog", "4", "3", "2", "1", "1.6", "0.9", "-0.2"),
    ]
    assert note == "1 of 3 pairs in conflict, 0 dominated; eval mode, 2 batches"


def test_sharpness():
    noise = np.array([[[9.0, 9.0]], [[1.0, 3.0]], [[7.0, 7.0]]])  # (3 ratios, 1 draw, 2 scopes)
    found = record(
        Sharpness,
        ratio=np.array([0.01, 0.12, 0.5]),
        scope=np.array(["overall", "class/1"]),
        loss=noise,
        start=np.array([0.5, 0.25]),
        perturbed=np.array("classifier"),
        radius=np.array(0.05),
        sam_sharpness=np.array([0.1, 0.2]),
        sam_sharpness_steps=np.array([0.3, 0.4]),
        characteristic_radius=np.array([5.0, 6.0]),
    )
    header, rows, note = table(found)
    names = ["scope", "loss", "rise, one step", "rise, several", "ρ*", "loss under noise"]
    assert header == names
    assert rows == [
        ("overall", "0.5", "0.1", "0.3", "", "1"),
        ("class/1", "0.25", "0.2", "0.4", "6", "3"),
    ]
    assert note == ("ascents of length 0.05 over classifier parameters; noise of 0.12 ‖w‖, 1 draw")
    several = replace(found, loss=np.array([[[0.0, 0.0]] * 2, [[1.0, 3.0], [3.0, 3.0]]]))
    _, rows, note = table(replace(several, ratio=np.array([0.3, 0.1])))
    assert [row[-1] for row in rows] == ["2.0 ± 1.0", "3"]  # std √2 over √2
    assert note.endswith("noise of 0.1 ‖w‖, 2 draws")


FEATURES = record(
    Features,
    **CLASSES | {"samples": np.array([20, 0])},
    quality=np.array([1.5, NAN]),
    separation=np.array([2.0, NAN]),
    variance=np.array([0.5, NAN]),
    nc1_class=np.array([0.125, NAN]),
    nc1=np.array(0.25),
    nc2=np.array(0.75),
    nc3=np.array(0.0625),
    nc4=np.array(0.9375),
    dimension=np.array(64),
    split=np.array("saddle"),
)


def test_features():
    header, rows, note = table(FEATURES)
    assert header == ["class", "train", "used", "quality", "separation", "variance", "NC1"]
    assert rows == [
        ("cat", "40", "20", "1.5", "2", "0.5", "0.125"),
        ("dog", "4", "0", "nan", "nan", "nan", "nan"),
    ]
    collapse = "neural collapse NC1 0.25, NC2 0.75, NC3 0.0625, NC4 0.938"
    assert note == f"{collapse}; 64 dimensions"


def test_features_of_scopes():
    counts = np.array([100, 50, 10])
    found = replace(
        FEATURES,
        class_name=np.array(["a", "b", "c"]),
        training_count=counts,
        samples=np.array([5, 5, 0]),
        quality=np.array([1.0, 3.0, NAN]),
        separation=np.array([4.0, 8.0, NAN]),
    )
    assert found.has("overall")
    assert found.has("class/1")
    assert not found.has("class/2")
    assert not found.has("tail")
    assert found.scope_mean("overall") == 2.0
    assert found.scope_mean("overall", "separation") == 6.0
    with pytest.raises(InputError, match="no class of scope 'class/2' has samples in this result"):
        found.scope_mean("class/2")
    one = np.array([1, 1, 1])
    assert scope_members("overall", counts, one, np.array("saddle")) == (0, 1, 2)


@pytest.mark.parametrize(
    ("split", "head", "tail"), [("saddle", [0], [2, 3]), ("count", [0, 1, 2], [3])]
)
def test_groups_of_a_record_follow_its_own_split(split, head, tail):
    counts, one = np.array([300, 250, 150, 5]), np.ones(4, dtype=int)
    quality = np.array([1.0, 2.0, 4.0, 8.0])
    classes = {"class_name": np.array(list("abcd")), "training_count": counts, "samples": one}
    found = record(Features, **classes, quality=quality, split=np.array(split))
    assert found.scope_mean("head") == quality[head].mean()
    assert found.scope_mean("tail") == quality[tail].mean()
    assert found.has("mid") == (split == "saddle")
    assert found.has("tail")
    assert not replace(found, samples=np.where(np.isin(range(4), tail), 0, 1)).has("tail")
    surface = record(Surface, **classes, split=np.array(split))
    assert surface.scope_classes("head") == tuple(head)
    assert scope_members("tail", counts, one, np.array(split)) == tuple(tail)


def test_similarity_of_draws_and_of_checkpoints():
    score = np.array([[[9.0, 0.5], [0.7, 9.0]]])
    found = record(
        Similarity,
        measure=np.array(["cka"]),
        class_name=CLASSES["class_name"],
        score=score,
        shuffled_baseline=score / 10,
        head_tail=np.array([0.75]),
        head_tail_sem=np.array([0.125]),
        head_tail_baseline=np.array([0.0625]),
        rows=np.array(30),
        dimension=np.array(8),
        draws=np.array(4),
        paired=np.array("class-balanced draws"),
    )
    header, rows, note = table(found)
    assert header == [
        "measure",
        "head against tail",
        "shuffled",
        "classes, mean",
        "classes shuffled",
    ]
    assert rows == [("cka", "0.75 ± 0.12", "0.0625", "0.6", "0.06")]
    assert note == (
        "n = 30 rows a side, d = 8 dimensions, 4 draws, matched by class-balanced draws"
    )
    same = replace(found, paired=np.array("checkpoint best"), score=np.array([[[1, NAN], [0, 2]]]))
    assert table(same)[1][0][3:] == ("1.5", "0.9")
    gone = np.array([[[NAN, NAN], [NAN, 0.5]]])  # a class without samples is in no mean
    lone = replace(same, score=gone, shuffled_baseline=gone)
    assert table(lone)[1][0][3:] == ("0.5", "0.5")


def test_surface():
    loss = np.array([[[1.0, 4.0], [2.0, 8.0], [NAN, NAN]]])  # (1, 3, K)
    arrays = {
        **CLASSES,
        "share": np.array([0.25, 0.75]),
        "frequency": np.array([0.5, 0.5]),
        "x": np.array([-1.0, 0.0, 1.0]),
        "y": np.array([0.0]),
        "loss": loss,
        "correct": np.array([[[10, 3], [20, 0], [0, 0]]]),
        "done": np.array([[True, True, False]]),
        "direction_kind": np.array(["random", "hessian"]),
        "split": np.array("saddle"),
    }
    found = record(Surface, **Surface.completed(arrays))
    header, rows, note = table(found)
    known = ["scope", "loss at the centre", "least", "at distance", "largest", "basin %"]
    assert header == [*known, "correct there %"]
    overall = (2 + 3 * 8) / 4
    assert rows == [
        (
            "overall",
            f"{overall:.4g}",
            f"{overall / 2:.4g}",
            "nan",
            f"{overall:.4g}",
            "nan",
            "50",
        ),
        ("class/0", "2", "1", "nan", "2", "nan", "100"),
        ("class/1", "8", "4", "nan", "8", "nan", "0"),
    ]
    assert note == "2 of 3 points; directions random and hessian"
    single = replace(
        found, samples=np.array([20, 1]), correct=np.array([[[10, 1], [20, 1], [0, 0]]])
    )
    assert table(single)[1][2] == ("class/1", "8", "4", "nan", "8", "nan", "100")
    without = replace(found, samples=np.array([20, 0]))
    assert [row[0] for row in table(without)[1]] == ["overall", "class/0"]
    untouched = replace(found, done=np.zeros((1, 3), dtype=bool))
    assert table(untouched)[1][1][2:5] == ("inf", "nan", "-inf")


def test_spectrum():
    header, rows, note = table(spectrum())
    names = ["scope", "train", "used", "loss", "λmax", "λmin", "|λmin/λmax|", "trace", "verdict"]
    assert header == names
    first = ("overall", "44", "23", "0.5", "3.75 … 5.00", "-1.50 … -0.750", "0.25")
    second = ("class/1", "4", "3", "2", "1.87 … 2.50", "0.250 … 0.625", "0")
    assert rows == [(*first, "10.00 ± 0.50", "saddle"), (*second, "3", "minimum")]
    assert note == ""
    _, rows, note = table(
        spectrum(gradient_small=np.array([False, False]), verdict=np.array(["saddle", ""]))
    )
    assert [row[-1] for row in rows] == ["saddle †", "–"]
    assert note == "† the gradient is not small"
    assert table(spectrum(converged=np.array([True, False])))[2] == (
        "1 of 2 scopes not within the tolerance"
    )
    both = spectrum(converged=np.array([False, True]), gradient_small=np.array([False, True]))
    assert table(both)[2] == "† the gradient is not small; 1 of 2 scopes not within the tolerance"


def test_brackets_of_the_ratio_follow_from_those_of_the_ends():
    ends = np.array(
        [  # lowest, λmin, λmax, highest; noise 0: least and most ratio
            (-4, -2, 8, 10, 0.2, 0.5),
            (1, 2, 3, 4, 0, 0),  # no negative end
            (-4, 1, 8, 10, 0, 0.5),  # may be negative, may be not
            (-4, -2, -1, 5, 0.4, np.inf),  # λmax may be negative
            (-4, -2, -1, -1, np.inf, np.inf),
            (-4, -2, 0, 0, np.inf, np.inf),
            (NAN, -2, 8, 10, NAN, NAN),
            (-4, -2, 8, NAN, NAN, NAN),
        ]
    )
    low, lmin, lmax, high, least, most = ends.T
    zero = np.zeros(len(ends))
    found = record(
        Spectrum, lowest=low, lambda_min=lmin, lambda_max=lmax, highest=high, noise_floor=zero
    )
    assert found.nonconvexity_bracket == pytest.approx(np.stack([least, most], 1), nan_ok=True)
    plain = record(
        Spectrum,
        lambda_min=np.array([-1.0, 1.0, -2.0, 0.0, NAN, -1.0]),
        lambda_max=np.array([4.0, 2.0, -1.0, 1.0, 1.0, np.inf]),
    )
    assert plain.nonconvexity == pytest.approx([0.25, 0, np.inf, 0, NAN, NAN], nan_ok=True)


def test_ends_where_nothing_is_proved_stand_alone():
    unknown = np.full(2, NAN)
    found = spectrum(noise_floor=unknown, lowest=unknown, highest=unknown)
    assert found.end_texts(0) == ("4", "-1")
    assert spectrum().index("class/1") == 1
    with pytest.raises(InputError, match="no scope 'tail' in this result; it holds overall, class"):
        spectrum().index("tail")


def test_a_matrix_other_than_the_hessian_is_named():
    assert spectrum().analysis_label(origin()) == "spectrum"
    ggn = origin(spectrum={"curvature": "ggn"})
    assert spectrum().analysis_label(ggn) == "spectrum of the Gauss-Newton matrix"
    assert not MatrixSpec.stored(ggn).is_hessian
    given = {"parameters": ["b", "a"], "blocks": True, "weight_decay": 0.5}
    assert MatrixSpec.stored(origin(spectrum=given)) == MatrixSpec("hessian", ("a", "b"), True, 0.5)
    by_batch = replace(origin(), bn_mode="batch")
    assert MatrixSpec.stored(by_batch) == MatrixSpec(bn="batch")
    assert MatrixSpec.stored(replace(origin(), config={})) == MatrixSpec()


def test_the_caption_says_whose_numbers_these_are():
    assert str(spectrum()).splitlines()[0] == "spectrum"
    found = str(spectrum().with_provenance(origin())).splitlines()
    assert found[0] == "spectrum of ce, epoch_0200; loss cross_entropy; float32"
    assert found[3].startswith("class/dog ")
    on = replace(origin(), config={"plan": {"method": "ce", "data": "digits"}}, checkpoint="ce")
    assert str(spectrum().with_provenance(on)).startswith(
        "spectrum of ce on digits; loss cross_entropy; float32"
    )
    bare = replace(origin(), config={})
    assert str(spectrum().with_provenance(bare)).startswith("spectrum of model, epoch_0200; loss")


def test_text_and_html():
    found = Table(("name", "n"), (("a<b", "1"), ("c", "1000")), "x & y")
    assert found.text() == "x & y\nname     n\na<b      1\nc     1000"
    wide = Table(("n", "wide"), ((" a", "1"), ("", "2"), ("b", "")), "")
    assert wide.text() == "\nn   wide\n a     1\n       2\nb"
    assert "</td><td" in Table(("a", "b", "c"), (("1", "2", "3"),), "").html()
    right = 'style="text-align: right"'
    assert found.html() == (
        f"<table><caption>x &amp; y</caption><thead><tr><th {right}>name</th><th {right}>n</th>"
        f"</tr></thead><tbody><tr><th {right}>a&lt;b</th><td {right}>1</td></tr>"
        f"<tr><th {right}>c</th><td {right}>1000</td></tr></tbody></table>"
    )


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.23456, 0.0123, "1.235 ± 0.012"),
        (123456.0, 1200.0, "123456 ± 1200"),
        (1234567.0, 1200.0, "(1.2346 ± 0.0012)e+06"),
        (9.9e5, 10.0, "990000 ± 10"),
        (1.5e-4, 2e-5, "0.000150 ± 0.000020"),
        (1.5e-5, 2e-6, "(1.50 ± 0.20)e-05"),
        (0.0, 0.5, "0.00 ± 0.50"),
        (2.0, 30.0, "2 ± 30"),
        (1.0, 4e-6, "1"),
        (1.0, 5e-6, "1.0000000 ± 0.0000050"),
        (3.0, 0.0, "3"),
        (1.23456, NAN, "1.235"),
        (np.inf, 1.0, "inf"),
    ],
)
def test_numbers_with_errors(value, error, text):
    assert with_error(value, error) == text
    assert numbers(np.array([value]), np.array([error])) == [text]


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (1.2345, 1.2355, "1.23 … 1.24"),
        (-1.2355, -1.2345, "-1.24 … -1.23"),
        (0.0, 9.991, "0 … 10.0"),
        (NAN, 2.0, "≤ 2.00"),
        (-np.inf, 2.001, "≤ 2.01"),
        (2.009, np.inf, "≥ 2.00"),
        (NAN, NAN, "unknown"),
    ],
)
def test_brackets_are_rounded_outwards(low, high, text):
    assert bracket(low, high) == text


def test_words_and_numbers():
    assert words(np.array([1, 2])) == ["1", "2"]
    assert numbers(np.array([1.23456, NAN, -np.inf])) == ["1.235", "nan", "-inf"]
    assert bracket(1.23456, 1.23457, digits=5) == "1.2345 … 1.2346"


def test_missing_corruptions_are_named_three_at_most():
    errors = {(name, level): 0.5 for name in ALEXNET for level in SEVERITIES}
    gone = [("fog", 1), ("fog", 2), ("snow", 3), ("snow", 5)]
    for one in gone:
        del errors[one]
    with pytest.raises(InputError, match=r"severities, and snow/3, snow/5, fog/1 are not there"):
        mean_corruption_error(errors)


def test_a_density_is_that_of_the_scope_asked_for():
    values, weights = np.array([[[1.0, 2.0]], [[5.0, 7.0]]]), np.full((2, 1, 2), 0.5)
    found = spectrum(ritz_values=values, ritz_weights=weights).density("class/1")
    assert (found.grid == smoothed_density(values[1], weights[1]).grid).all()
    assert (found.mean == smoothed_density(values[1], weights[1]).mean).all()


def test_the_rows_of_a_data_frame_are_scopes_by_default():
    pytest.importorskip("pandas")
    assert spectrum().to_dataframe().index.name == "scope"


def test_a_matrix_is_named_by_its_settings():
    settings = SpectrumConfig(
        curvature="ggn", parameters=("b", "a", "b"), blocks=True, weight_decay=0.5
    )
    assert MatrixSpec.of(settings, "batch") == MatrixSpec("ggn", ("a", "b"), True, 0.5, "batch")
    assert MatrixSpec.of(SpectrumConfig()) == MatrixSpec()
    assert MatrixSpec.of(SpectrumConfig(parameters=("a", "*"))).parameters == ("*",)


def test_older_files_are_completed_by_what_their_ritz_values_say():
    values = np.array([[[-3.0, -1e-9, 2.0], [-3.0, 1.0, 5.0]], np.full((2, 3), NAN)])
    given = spectrum(
        ritz_values=values,
        ritz_weights=np.where(np.isnan(values), NAN, 1 / 3),
        dimension=np.array([50.0, 50.0]),
        orthogonality_loss=np.array([0.0, 0.0]),
        repeatability=np.array([1e-7, 0.0]),
        noise_floor=np.array([1e-6, 0.0]),
    )
    stored = {f.name: getattr(given, f.name) for f in fields(Spectrum)}
    for name in ("negative_directions", "negative_share_low", "negative_share_high"):
        del stored[name]
    found = Spectrum.completed(stored)
    # -1e-9 is within the rounding √3 · 1e-6, and says nothing
    assert found["negative_directions"] == pytest.approx([1.0, NAN], nan_ok=True)
    (low, *_), (high, *_) = found["negative_share_low"], found["negative_share_high"]
    assert 1 / 50 <= low < high <= 1 - 2 / 50
    bounds = given.cumulative("overall", np.array([np.nextafter(0.0, -1.0)]))[1:]
    assert [low, high] == [bounds[0][0], bounds[1][0]]
    large = replace(given, dimension=np.array([1e6, 1e6]))  # bounds that no count cuts short
    wider = replace(large, orthogonality_loss=np.array([0.01, 0.0]))
    plain, loose = (one.cumulative("overall", np.array([-2.5]))[1:] for one in (large, wider))
    assert loose[0][0] <= plain[0][0]
    assert loose[1][0] == pytest.approx(plain[1][0] + 2 * 0.01)
    unsaid = Spectrum.completed({n: v for n, v in stored.items() if n != "ritz_values"})
    assert np.isnan(unsaid["negative_directions"]).all()
    told = stored | dict.fromkeys(
        ("negative_directions", "negative_share_low", "negative_share_high"), np.zeros(2)
    )
    assert (Spectrum.completed(told)["negative_directions"] == 0).all()


def test_the_rounding_of_ritz_values_in_closed_form():
    values = np.array([[-8.0, 2.0, NAN], [1.0, 2.0, 4.0]])
    assert ritz_rounding(values, 0.25, 0.5) == pytest.approx(2 * 0.25 * 8 + 3**0.5 * 0.5)


def test_values_of_one_and_of_a_power_of_ten():
    assert bracket(1.0, 1.0) == "1.00 … 1.00"
    assert with_error(1e7, 1e7) == "(1.0 ± 1.0)e+07"
    assert with_error(1e7, 1e8) == "(0.1 ± 1.0)e+08"


def test_a_point_on_a_ritz_value_is_at_or_above_it():
    values, weights = np.array([[[1.0, 2.0]]]), np.array([[[0.25, 0.75]]])
    found = spectrum(
        scope=np.array(["overall"]),
        ritz_values=values,
        ritz_weights=weights,
        dimension=np.array([1e6]),
        orthogonality_loss=np.array([0.0]),
        repeatability=np.array([0.0]),
        noise_floor=np.array([0.0]),
    )
    points = np.array([0.5, 1.0, 1.5, 2.0])
    mean, low, high = found.cumulative("overall", points)
    assert mean == pytest.approx([0, 0.25, 0.25, 1])
    exact = share_bounds(values[0], weights[0], points, 10**6)
    assert (low == exact[0]).all()
    assert (high == exact[1]).all()
    rough = replace(found, noise_floor=np.array([0.6]))  # the values may be off by √2 · 0.6
    least, most = rough.cumulative("overall", points)[1:]
    widened = share_bounds(values[0], weights[0], points, 10**6, rounding=2**0.5 * 0.6)
    assert (least == widened[0]).all()
    assert (most == widened[1]).all()
    assert (most > high).any()
