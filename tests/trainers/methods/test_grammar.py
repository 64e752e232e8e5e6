"""Sentences whose base is a system."""

import pytest

from landscape.errors import InputError
from trainers.config import TrainConfig
from trainers.methods.grammar import parse_method
from trainers.resolve import resolve


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mislas+plot", "ce-mixup-las+plot"),
        ("gcl+plot", "clouded-mixup-rebalance+plot"),
        ("bbn+plot@released", "ce-bilateral+plot"),
        ("m2m+plot", "m2m+plot"),
        ("paco+gkp+gsa", "paco+gkp+gsa"),
    ],
)
def test_a_rule_follows_a_system(name, sentence):
    assert parse_method(name).sentence == sentence


def test_a_system_with_a_rule_keeps_its_recipe():
    assert parse_method("gcl+plot").recipe == parse_method("gcl").recipe == "gcl"
    found = [resolve(TrainConfig(method=m, data="cifar10"), 10) for m in ("gcl", "gcl+plot")]
    assert found[0].recipe == found[1].recipe


def test_a_second_rule_is_refused():
    with pytest.raises(InputError, match="one regulariser and then one rule"):
        parse_method("plot+sam")
