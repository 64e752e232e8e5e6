"""Settings of methods: each number has a range, and what is out of it or idle is refused."""

import pytest

from landscape.errors import InputError
from trainers.config import TrainConfig
from trainers.methods.grammar import KINDS, parse_method
from trainers.methods.part import Interval
from trainers.resolve import resolve

PARTS = {f"{kind} {word}": part for kind, table in KINDS.items() for word, part in table.items()}
NUMBERS = [
    pytest.param(setting, name, id=f"{title} {name}")
    for title, part in PARTS.items()
    for name, setting in part.settings.items()
    if not isinstance(setting.value, str)
]


def outside(interval):
    yield from (interval.least - 1, interval.most + 1, float("nan"), float("inf"), -float("inf"))
    yield from (getattr(interval, end) for end in interval.without)


@pytest.mark.parametrize(("setting", "name"), NUMBERS)
def test_every_number_has_a_range(setting, name):
    assert isinstance(setting.allowed, Interval)
    assert setting.read(name, setting.value) == setting.value
    for number in outside(setting.allowed):
        with pytest.raises(InputError, match=f"setting '{name}' is .* out of range"):
            setting.read(name, str(number))


@pytest.mark.parametrize("title", PARTS)
def test_published_values_are_allowed(title):
    settings = PARTS[title].settings
    variants = [values for values, _ in PARTS[title].variants.values()]
    for values in (*variants, *PARTS[title].by_data.values()):
        assert {name: settings[name].read(name, value) for name, value in values.items()} == values
    for setting in settings.values():
        if setting.only_with is not None:
            other, value = setting.only_with
            assert value in settings[other].allowed


@pytest.mark.parametrize(
    ("interval", "inside", "words"),
    [
        (Interval(0), (0, 1e300), "at least 0"),
        (Interval(0, without=("least",)), (1e-300,), "above 0"),
        (Interval(0, 1), (0, 1), "at least 0, at most 1"),
        (Interval(-1, 1, ("most",)), (-1, 0.999), "at least -1, below 1"),
    ],
)
def test_intervals(interval, inside, words):
    assert all(number in interval for number in inside)
    assert not any(number in interval for number in outside(interval))
    assert str(interval) == words


def plan(method, *settings, data="cifar10", classes=10, **given):
    return resolve(TrainConfig(method=method, data=data, settings=settings, **given), classes)


@pytest.mark.parametrize(
    ("method", "setting"),
    [
        ("focal", "gamma=-1"),
        ("ce-mixup", "alpha=-1"),
        ("ce+cagrad", "c=-1"),
        ("ce+lpf-sgd", "parts=0"),
        ("bcl+gkp", "group_count=0"),
        ("ce+sam", "rho=-1"),
        ("ce-cb", "beta=1"),
        ("ce+plot", "rho=nan"),
        ("ldam", "scale=inf"),
    ],
)
def test_what_is_out_of_range_is_a_sentence(method, setting):
    with pytest.raises(InputError, match="out of range: it has to be finite and"):
        plan(method, setting)


@pytest.mark.parametrize("method", ["bcl+gsa", "gkp-gsa", "gkp-gsa@released"])
def test_a_radius_that_grouped_ascents_do_not_use_is_refused(method):
    with pytest.raises(InputError, match=r"'rho' has no effect .* add radius=fixed to --settings"):
        plan(method, rho=0.1)
    with pytest.raises(InputError, match="'rho' has no effect"):
        plan(method, "rule.rho=0.1")
    assert plan(method, "radius=fixed", rho=0.1).settings["rule"]["rho"] == 0.1
    with pytest.raises(InputError, match=r"'scale' has no effect .* add radius=group"):
        plan(method, "radius=fixed", "rule.scale=0.1")


def test_a_constant_of_weights_that_are_not_taken_is_refused():
    with pytest.raises(InputError, match=r"'beta' has no effect .* whose kind is inverse"):
        plan("ce-drw@paper", "beta=0.99")
    assert plan("ce-drw", "beta=0.99").settings["weighting"]["beta"] == 0.99


@pytest.mark.parametrize("method", ["ce+sam", "ce-drw+sam", "ldam-drw+sam", "saddle", "la+sam"])
@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize(
    ("schedule", "radii"),
    [
        ("step", {0: 0.05, 4: 0.05, 5: 0.1, 159: 0.1, 160: 0.5, 180: 0.6}),
        ("linear", {0: 0.05, 199: 0.8}),
    ],
)
def test_schedules_give_the_radii_of_the_released_code(method, classes, schedule, radii):
    from trainers.rules.perturbation import scheduled

    found = plan(method, f"schedule={schedule}", data=f"cifar{classes}", classes=classes)
    rule = found.settings["rule"]
    for epoch, radius in radii.items():
        assert scheduled(rule["rho"], rule["schedule"], epoch, 200) == pytest.approx(radius)


def radii(method, classes, data=None, epochs=200):
    from trainers.rules.perturbation import scheduled

    data = data or f"cifar{classes}"
    rule = plan(method, data=data, classes=classes).settings["rule"]
    return [scheduled(rule["rho"], rule["schedule"], epoch, epochs) for epoch in range(epochs)]


@pytest.mark.parametrize("variant", ["", "@paper", "@released"])
def test_radius_of_focal_sam(variant):
    """Constant on CIFAR; on ImageNet-LT doubled when epoch + 1 reaches 0.8 of the epochs."""
    method = f"focal-sam{variant}"
    assert set(radii(method, 10)) == {0.2}
    assert set(radii(method, 100)) == {0.3}
    assert radii(method, 1000, "filelist:x") == [0.1] * 159 + [0.2] * 41
    assert set(radii(method, 8142, "filelist:x")) == {0.2}
    assert radii(method, 365, "filelist:x", epochs=10) == [0.2] * 7 + [0.4] * 3


def test_large_scale_radius_of_the_saddle_code():
    found = plan("saddle", "schedule=step-large", data="filelist:x", classes=1000).settings["rule"]
    from trainers.rules.perturbation import scheduled

    radius = {e: scheduled(found["rho"], found["schedule"], e, 90) for e in (0, 4, 5, 59, 60, 89)}
    assert radius == pytest.approx({0: 0.05, 4: 0.05, 5: 0.1, 59: 0.1, 60: 0.5, 89: 0.5})


def test_a_variant_reaches_settings_of_other_parts():
    """Focal-SAM's released code divides weighted losses by the samples, the others' by weights."""
    means = {
        name: plan(name).settings["weighting"].get("mean")
        for name in (
            "ce-drw+focal-sam",
            "ce-drw+focal-sam@released",
            "ce-drw+sam@released",
            "la+focal-sam@released",
        )
    }
    assert list(means.values()) == ["weights", "samples", "weights", None]


def test_a_radius_that_is_given_is_that_of_the_schedule():
    rule = plan("ce-drw+sam", "schedule=step", rho=0.3).settings["rule"]
    assert (rule["rho"], rule["schedule"]) == (0.3, "step")
    digits = plan("ce-drw+sam", "schedule=linear", data="digits").settings["rule"]
    assert digits["rho"] == 0.1


def test_data_for_which_settings_are_published():
    assert parse_method("ce").published_for() == [("digits",), ("10",), ("100",)]
    plot = [("digits",), ("10",), ("10", "10/50"), ("10", "10/200"), ("100",)]
    plot += [("365",), ("1000",), ("8142",)]
    assert parse_method("plot").published_for() == plot
