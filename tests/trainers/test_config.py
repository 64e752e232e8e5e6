"""Method names, recipes and their resolution; schedules."""

import math

import pytest

from landscape.errors import InputError
from trainers.config import RECIPES, Plan, TrainConfig, resolve
from trainers.methods import RULES, SYSTEMS, method_names, parse_method
from trainers.schedule import learning_rate


def plan(classes=10, **given):
    return resolve(TrainConfig(**given), classes)


def test_recipe_a_learning_rates():
    rates = [learning_rate(RECIPES["a"], e) for e in (0, 4, 5, 159, 160, 179, 180, 199)]
    assert rates == pytest.approx([0.02, 0.1, 0.1, 0.1, 1e-3, 1e-3, 1e-5, 1e-5])


def test_recipe_b_is_a_cosine_to_zero():
    recipe = RECIPES["b"]
    for epoch in (0, 50, 100, 199):
        expected = 0.05 * (1 + math.cos(math.pi * epoch / 200))
        assert learning_rate(recipe, epoch) == pytest.approx(expected)


def test_recipe_c_steps():
    rates = [learning_rate(RECIPES["c"], e) for e in (0, 5, 160, 180)]
    assert rates == pytest.approx([0.03, 0.15, 0.015, 0.0015])


def test_epochs_stretch_the_milestones():
    found = plan(data="cifar10", epochs=20, method="ce-drw")
    assert found.recipe.milestones == (16, 18)
    assert found.reweighting_epoch == 16
    assert found.checkpoints == (0, 1, 5, 16, 17, 19, 20)


def test_radius_of_the_saddle_paper():
    radius = {
        (classes, method): plan(classes, data=f"cifar{classes}", method=method).settings["rule"][
            "rho"
        ]
        for classes in (10, 100)
        for method in ("ce+sam", "ce-drw+sam", "ldam-drw+sam")
    }
    assert list(radius.values()) == [0.1, 0.5, 0.8, 0.2, 0.8, 0.8]
    assert plan(data="cifar10", method="ce+sam", rho=0.3).settings["rule"]["rho"] == 0.3


def test_weight_decay_of_recipe_b_depends_on_the_classes():
    assert plan(10, data="cifar10", recipe="b").recipe.weight_decay == 2e-4
    assert plan(100, data="cifar100", recipe="b").recipe.weight_decay == 1e-3


def test_settings_by_name():
    found = plan(method="ldam-drw", settings=("max_margin=0.4", "scale=20"))
    assert found.settings["loss"] == {"max_margin": 0.4, "scale": 20.0}
    assert plan(method="ce-drw@paper").settings["weighting"]["kind"] == "inverse"


def test_a_plan_survives_json():
    import json

    found = plan(method="ldam-drw+sam")
    assert Plan.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_every_listed_method_parses():
    names = method_names()
    assert len(names) == len(set(names)) == 6 * 3 * len(RULES) + len(SYSTEMS)
    for name in names:
        assert parse_method(name).name == name


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"method": "ce-dwr"}, "did you mean 'ce-drw'"),
        ({"method": "ce-"}, "unknown method 'ce-'"),
        ({"method": "ce+sma"}, "did you mean 'sam'"),
        ({"method": "ce@released"}, "no variant 'released'; it has none"),
        ({"model": "resnet3"}, "unknown model"),
        ({"data": "cifar11"}, "did you mean 'cifar10'"),
        ({"data": "folder"}, "needs a path"),
        ({"epochs": 0}, "--epochs 0"),
        ({"batch_size": -1}, "--batch-size -1"),
        ({"lr": 0.0}, "--lr 0.0"),
        ({"eval_every": 0}, "--eval-every 0"),
        ({"method": "ce", "rho": 0.1}, "use --method ce+sam"),
        ({"method": "ce+sam", "rho": -1.0}, "at least 0 and finite"),
        ({"method": "ce+sam", "rho": float("nan")}, "at least 0 and finite"),
        ({"method": "ce+sam", "settings": ("bn_update=frist",)}, "did you mean 'first'"),
        ({"settings": ("max_margin",)}, "form name=value"),
        ({"method": "ldam", "settings": ("max_margin=wide",)}, "not a number"),
        ({"epochs": 10, "checkpoints": (20,)}, "leave the 10 epochs"),
    ],
)
def test_bad_input(given, sentence):
    with pytest.raises(InputError, match=sentence.replace("+", r"\+")):
        plan(**given)
