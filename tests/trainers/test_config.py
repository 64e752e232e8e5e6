"""Method names, recipes and their resolution; schedules."""

import math

import pytest

from landscape.errors import InputError
from trainers.config import Plan, TrainConfig
from trainers.methods.grammar import RULES, method_names, parse_method
from trainers.methods.systems import SYSTEMS
from trainers.recipes import RECIPES, learning_rate
from trainers.resolve import resolve


def plan(classes=10, **given):
    return resolve(TrainConfig(**given), classes)


def test_recipe_a_learning_rates():
    rates = [learning_rate(RECIPES["a"].recipe, e) for e in (0, 4, 5, 159, 160, 179, 180, 199)]
    assert rates == pytest.approx([0.02, 0.1, 0.1, 0.1, 1e-3, 1e-3, 1e-5, 1e-5])


def test_recipe_b_is_a_cosine_to_zero():
    recipe = RECIPES["b"].recipe
    for epoch in (0, 50, 100, 199):
        expected = 0.05 * (1 + math.cos(math.pi * epoch / 200))
        assert learning_rate(recipe, epoch) == pytest.approx(expected)


def test_recipe_c_steps():
    rates = [learning_rate(RECIPES["c"].recipe, e) for e in (0, 5, 160, 180)]
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


def test_a_plan_says_nothing_of_what_older_runs_lack():
    """Runs of before are compared with new ones by their stored plans."""
    stored = plan(data="cifar10", method="ce-drw+sam").to_dict()
    assert {"pretrained", "vision", "tuning", "prompt"}.isdisjoint(stored)
    assert "jitter" not in stored["recipe"]
    large = resolve(TrainConfig(data="filelist:x", pretrained="w.pth"), 365)
    assert large.to_dict()["recipe"]["jitter"]
    assert Plan.from_dict(large.to_dict()) == large


def test_every_listed_method_parses():
    names = method_names()
    assert len(names) == len(set(names)) == 9 * 3 * len(RULES) + len(SYSTEMS)
    for name in names:
        assert parse_method(name).name == name


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"method": "ce-dwr"}, "did you mean 'ce-drw'"),
        ({"method": "ce-"}, "unknown method 'ce-'"),
        ({"method": "ce+samm"}, "did you mean 'sam'"),
        ({"method": "ce@released"}, "no variant 'released'; it has none"),
        ({"model": "resnet3"}, "unknown model"),
        ({"data": "cifar11"}, "did you mean 'cifar10'"),
        ({"data": "folder"}, "needs a path"),
        ({"epochs": 0}, "--epochs 0"),
        ({"batch_size": -1}, "--batch-size -1"),
        ({"lr": 0.0}, "--lr 0.0"),
        ({"lr": float("nan")}, "--lr nan is out of range: it has to be finite and above 0"),
        ({"weight_decay": float("inf")}, "--weight-decay inf"),
        ({"eval_every": 0}, "--eval-every 0"),
        ({"method": "ce", "rho": 0.1}, "use --method ce+sam"),
        ({"method": "ce+sam", "rho": -1.0}, "finite and at least 0"),
        ({"method": "ce+sam", "rho": float("nan")}, "finite and at least 0"),
        ({"method": "ce+sam", "settings": ("bn_update=frist",)}, "did you mean 'first'"),
        ({"settings": ("max_margin",)}, "form name=value"),
        (
            {"method": "ldam", "settings": ("max_margin=wide",)},
            "'max_margin' is 'wide', which is not a number; give one",
        ),
        ({"epochs": 10, "checkpoints": (20,)}, "leave the 10 epochs"),
    ],
)
def test_bad_input(given, sentence):
    with pytest.raises(InputError, match=sentence.replace("+", r"\+")):
        plan(**given)


def test_a_radius_in_the_settings_is_not_overridden():
    found = plan(10, data="cifar10", method="ce+sam", settings=("rule.rho=0.3",))
    assert found.settings["rule"]["rho"] == 0.3
    with pytest.raises(InputError, match="given twice"):
        plan(10, data="cifar10", method="ce+sam", settings=("rho=0.3",), rho=0.2)


def test_released_plot_has_its_own_settings():
    found = plan(100, data="cifar100", method="plot@released")
    assert found.settings["stages"]["limit"] == 1.0
    assert (found.recipe.batch_size, found.model) == (128, "resnet30")
    assert plan(100, data="cifar100", method="cc-sam@released").settings["stages"]["limit"] == 0.3
    rare = plan(10, data="cifar10", method="plot@released", imbalance=200)
    assert rare.settings["rule"]["shared_epochs"] == 0.4
    assert rare.settings["rule"]["kept"] == 0.5


def test_batch_of_plot():
    sizes = {m: plan(data="cifar10", method=m).recipe.batch_size for m in ("plot", "plot@released")}
    assert sizes == {"plot": 64, "plot@released": 128}


def test_subset_seeds_of_the_released_codes():
    seeds = {m: plan(data="cifar10", method=m).subset_seed for m in SYSTEMS}
    assert set(seeds.values()) == {0}
    released = {
        m: plan(data="cifar10", method=f"{m}@released").subset_seed
        for m in ("cc-sam", "plot", "gkp-gsa", "focal-sam")
    }
    assert released == {"cc-sam": 42, "plot": 50, "gkp-gsa": 0, "focal-sam": 0}
    assert plan(data="cifar10", method="plot@released", subset_seed=7).subset_seed == 7
    with pytest.raises(InputError, match="--subset-seed is -1"):
        plan(subset_seed=-1)


def test_normalisation_by_recipe():
    def normalisation(data, **given):
        return plan(100, data=data, **given).normalisation

    assert normalisation("cifar100", method="gkp-gsa") == "cifar100"
    assert normalisation("cifar100", method="bcl", recipe="c") == "cifar100"
    assert normalisation("cifar100", method="gkp-gsa", normalisation="cifar10") == "cifar10"
    assert normalisation("cifar100", method="plot") is None
    assert normalisation("cifar10", method="gkp-gsa") is None


def test_a_plan_stored_before_a_setting_holds_what_held_then():
    import json

    found = plan(data="cifar10", method="ce-drw+sam")
    stored = json.loads(json.dumps(found.to_dict()))
    for name in ("subset_seed", "normalisation"):
        del stored[name]
    del stored["settings"]["weighting"]["mean"]
    assert Plan.from_dict(stored) == found
    capped = plan(data="cifar10", method="ce+cc-sam")
    stored = json.loads(json.dumps(capped.to_dict()))
    del stored["settings"]["rule"]["most"]
    assert Plan.from_dict(stored).settings["rule"]["most"] == 1e9


def test_warm_up_of_recipe_d():
    from trainers.recipes import learning_rate

    recipe = plan(10, data="cifar10", method="cc-sam").recipe
    assert learning_rate(recipe, 0) == pytest.approx(0.1 * (1 / 3 + 2 / 15))
    assert learning_rate(recipe, 4) == pytest.approx(0.1)
    assert learning_rate(recipe, 158) == pytest.approx(0.1)
    assert learning_rate(recipe, 159) == pytest.approx(0.01)


def test_whole_numbers():
    assert plan(method="ce+imbsam", settings=("eta=20.0",)).settings["rule"]["eta"] == 20
    with pytest.raises(InputError, match="whole number"):
        plan(method="ce+imbsam", settings=("eta=20.5",))


def test_the_default_of_each_variant_named_paper():
    """Deferred re-weighting follows the released code unless the paper's weights are asked for."""
    kinds = {
        name: plan(data="cifar10", method=name).settings["weighting"]["kind"]
        for name in ("saddle", "saddle@released", "saddle@paper")
    }
    assert kinds == {
        "saddle": "effective",
        "saddle@released": "effective",
        "saddle@paper": "inverse",
    }
    for name in ("cc-sam", "focal-sam", "plot", "gkp-gsa"):
        found, papers = (plan(data="cifar10", method=m) for m in (name, f"{name}@paper"))
        assert found.settings == papers.settings


@pytest.mark.parametrize(("name", "value"), [("epochs", []), ("lr", "0.1"), ("batch_size", None)])
def test_a_stored_recipe_has_numbers(name, value):
    plan = resolve(TrainConfig(), 10)
    stored = plan.to_dict()
    assert Plan.from_dict(stored) == plan
    stored["recipe"] = dict(stored["recipe"]) | {name: value}
    with pytest.raises(TypeError, match=f"{name} is .* no number"):
        Plan.from_dict(stored)
