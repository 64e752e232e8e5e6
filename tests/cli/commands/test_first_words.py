"""What a newcomer types first, and mistypes."""

import re
import shutil
import subprocess
from dataclasses import fields

import pytest

from landscape.analyses.catalogue import ANALYSES
from landscape.config import SpectrumConfig
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


@pytest.mark.parametrize("command", ["diagnose --sopes tail", "train --methd ce"])
def test_a_mistyped_option_is_answered_with_those_of_its_command(command, capsys):
    code, out, err = tailscape(capsys, command)
    assert code == 2
    assert ("--scopes" if "sopes" in command else "--method") in err + out
    assert "tailscape crosscheck" not in err + out


def test_the_help_of_a_command_shows_its_groups_one_at_a_time(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, whole, _ = tailscape(capsys, "diagnose --help")
    assert code == 0
    assert len(whole.splitlines()) < 80
    assert "--scopes" in whole
    assert "--spectrum.steps" not in whole
    groups = re.split(r",\s", re.search("further groups: ([^:]*)\nnext:", whole)[1])
    named = {name.replace("_", "-") for name in ANALYSES}
    assert set(groups) == named - {"accuracy"} | {"model", "engine"}
    parts = [tailscape(capsys, f"diagnose --help {group}")[1] for group in groups]
    every = tailscape(capsys, "diagnose --help all")[1]
    flags = set(re.findall(r"--[a-z.-]+", every))
    assert flags - set(re.findall(r"--[a-z.-]+", "".join([whole, *parts]))) == set()
    assert len(flags) >= 80
    code, _, err = tailscape(capsys, "diagnose --help spectrun")
    assert (code, "did you mean 'spectrum'?" in err) == (2, True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash completes")
def test_bash_completes_commands_and_options(capsys):
    code, script, _ = tailscape(capsys, "completion bash")
    assert code in (0, None)
    function = re.search(r"complete .*-F (\S+)", script)[1]

    def offered(*words):
        line = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; {function}"
        whole = f"{script}\n{line}\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
        found = subprocess.run(["bash", "-c", whole], capture_output=True, text=True, check=True)
        return found.stdout.split()

    assert offered("tailscape", "diag") == ["diagnose"]
    options = offered("tailscape", "diagnose", "--spectrum.")
    assert all(word.startswith("--spectrum.") for word in options)
    assert len(options) == len(fields(SpectrumConfig))


def test_a_mistyped_option_of_a_figure_is_not_passed_over(runs, capsys):
    code, _, err = tailscape(capsys, f"figure spectrum {runs}/sam --options matrx=hessian")
    assert code == 2
    assert "unknown option of figure 'spectrum' 'matrx'; did you mean 'matrix'?" in err
    code, _, err = tailscape(capsys, f"figure accuracy {runs}/sam --options view=3d")
    assert code == 2
    assert "unknown option of figure 'accuracy' 'view'. Choose from: on" in err
