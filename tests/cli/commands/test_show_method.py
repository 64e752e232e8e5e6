"""``show method`` prints what training takes."""

import re

import pytest

from cli.commands.show_method import by_data
from cli.main import main
from trainers.config import TrainConfig
from trainers.methods.grammar import parse_method
from trainers.methods.systems import SYSTEMS
from trainers.resolve import resolve

SHOWN = [
    "ce+sam",
    "ce-drw+sam",
    "la+sam",
    "ce+imbsam",
    *(f"{name}{variant}" for name in SYSTEMS for variant in ("", "@released")),
]
DATA = {
    "digits": ("digits", 10, None),
    "10 classes": ("cifar10", 10, None),
    "10 classes, imbalance 50": ("cifar10", 10, 50),
    "10 classes, imbalance 200": ("cifar10", 10, 200),
    "100 classes": ("cifar100", 100, None),
}


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("label", DATA)
def test_what_is_shown_is_what_a_plan_takes(name, label):
    data, classes, imbalance = DATA[label]
    plan = resolve(TrainConfig(method=name, data=data, imbalance=imbalance), classes)
    method = parse_method(name)
    general, special = method.settings(), by_data(method)
    for kind, settings in plan.settings.items():
        for setting, value in settings.items():
            there = special.get((kind, setting), {})
            shown = there.get(label, there.get(label.partition(",")[0], general[kind][setting]))
            assert shown == value, (kind, setting)


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("ce+sam", "rho, 0.5, digits: 0.1, at least 0"),
        ("ce+sam", "10 classes: 0.1"),
        ("ce+sam", "100 classes: 0.2"),
        ("ce+sam", "schedule, constant, 1000 classes: step-large, constant, step"),
        ("ldam-drw+sam", "10 classes: 0.8"),
        ("plot@released", "limit, 1.0, at least 0, at most 1"),
        ("plot@released", "kept, 1.0, 10 classes, imbalance 200: 0.5"),
        ("cc-sam@released", "limit, 1.0, 100 classes: 0.3"),
        ("bcl+gsa", "rho, 0.05, at least 0, with radius=fixed"),
    ],
)
def test_a_line_of_the_table(name, cells, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "240")
    assert main(["show", "method", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(", ".join(re.split(r"\s{2,}", line.strip())).startswith(cells) for line in lines)
