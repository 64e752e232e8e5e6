"""Any terminal, any name, any path: what is printed is what is meant."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from cli.console import closing, console
from cli.main import main
from landscape.errors import quoted

ROOT = Path(__file__).parents[2]


def run(*words, **environment):
    command = [sys.executable, "-W", "ignore", "-m", "cli.main", *words]
    known = os.environ | {"PYTHONUTF8": "0"} | environment
    return subprocess.run(command, capture_output=True, cwd=ROOT, env=known, timeout=100)


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "cp1252"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_every_encoding_gets_the_whole_text(environment):
    found = run("list", "methods", **environment)
    assert found.returncode == 0, found.stderr
    shown = run("diagnose", "--help", "spectrum", **environment)
    assert shown.returncode == 0, shown.stderr
    assert b"lambda" in shown.stdout


def test_a_full_standard_output_is_a_sentence():
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "cli.main", "list", "methods"]
        found = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, cwd=ROOT, text=True, timeout=100
        )
    assert found.returncode == 2
    assert found.stderr == "tailscape: error: no room to write the output (disk full)\n"


@pytest.mark.parametrize("name", ["net[/b]", "[sam]", ":smile:", "[link=x]y"])
def test_brackets_and_colons_of_a_name_are_printed(name, capsys):
    out = console()
    table = Table(title=name, caption=name)
    table.add_column(name)
    table.add_row(name)
    out.print(table)
    out.rule(name)
    closing(out, [name], [f"tailscape show {quoted(name)}"])
    assert capsys.readouterr().out.count(name) == 7


@pytest.mark.parametrize("path", ["o 5", "it's", "$HOME", "a;b", "ü"])
def test_a_path_in_a_command_is_one_word(path):
    assert shlex.split(f"tailscape show {quoted(Path(path))}") == ["tailscape", "show", path]


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_bytes(b'\xef\xbb\xbfdata = "digits"\nout = "~/run"\n')
    assert main(["train", "--config", "c.toml", "--dry-run"]) == 0
    assert f"run folder {tmp_path}/run" in capsys.readouterr().out
    assert main(["train", "--data", "folder:~/im", "--dry-run"]) == 2
    assert f"'{tmp_path}/im'" in capsys.readouterr().err
    assert not list(tmp_path.glob("~*"))
