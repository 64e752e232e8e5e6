"""What a newcomer types first, and mistypes."""

import re

import pytest

from tests.cli.commands.test_commands import tailscape


def test_version(capsys):
    code, out, _ = tailscape(capsys, "--version")
    assert code == 0
    assert re.fullmatch(r"tailscape \d+\.\d+\S*\n", out)


@pytest.mark.parametrize(
    ("typed", "meant"), [("trian", "train"), ("diagnos", "diagnose"), ("figures x", "figure")]
)
def test_a_mistyped_command_is_answered_with_the_nearest(typed, meant, capsys):
    code, _, err = tailscape(capsys, typed)
    assert code == 2
    assert f"unknown command '{typed.split()[0]}'; did you mean '{meant}'?" in err


def test_a_mistyped_option_of_a_figure_is_not_passed_over(runs, capsys):
    code, _, err = tailscape(capsys, f"figure spectrum {runs}/sam --options matrx=hessian")
    assert code == 2
    assert "unknown option of figure 'spectrum' 'matrx'; did you mean 'matrix'?" in err
    code, _, err = tailscape(capsys, f"figure accuracy {runs}/sam --options view=3d")
    assert code == 2
    assert "unknown option of figure 'accuracy' 'view'. Choose from: on" in err
