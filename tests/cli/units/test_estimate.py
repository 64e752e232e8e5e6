"""What a diagnosis announces before long work, and what it measures for that."""

import pytest
from rich.console import Console

from cli.units import estimate
from cli.units.unit import Unit
from landscape.config import DiagnoseConfig

COUNTS = [405, 267, 113, 25, 8, 6, 5, 4, 3, 2]


@pytest.fixture
def announced(runs, monkeypatch, capsys):
    """Announce a spectrum; return what is printed, and the operators built for it."""

    def announce(long):
        built, real = [], estimate.CurvatureOperator
        monkeypatch.setattr(estimate, "_LONG", long)
        monkeypatch.setattr(
            estimate, "CurvatureOperator", lambda *a, **k: built.append(1) or real(*a, **k)
        )
        config = DiagnoseConfig(scopes=("class/9",), device="cpu")
        units = [Unit(runs / "plain", "epoch_0004", "spectrum", config)]
        estimate.announce(units, COUNTS, Console())
        return capsys.readouterr().out, len(built)

    return announce


def test_long_work_is_announced(announced):
    said, operators = announced(0)
    assert said.startswith("1 result: about ")
    assert "if every Lanczos step is taken" in said
    assert operators == 1


def test_nothing_is_measured_for_work_that_is_surely_short(announced):
    assert announced(1e9) == ("", 0)
