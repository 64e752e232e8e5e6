"""The gallery shows every kind of figure, and its pictures are there."""

import re
import shlex
from pathlib import Path

import pytest

from cli.main import main
from figures.catalogue import FIGURES

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "gallery.md").read_text(encoding="utf-8")


def test_every_kind_is_shown():
    assert set(re.findall(r"^## ([a-z-]+)$", TEXT, flags=re.M)) == set(FIGURES)
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", TEXT):
        assert (DOCS / path).is_file(), path


COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", TEXT, flags=re.S)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("tailscape ") and "$" not in line
]


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_parse(command, capsys, tmp_path, monkeypatch):
    """Their runs are not here: each gets as far as looking for them."""
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command, comments=True)[1:]
    if words[0] == "train":
        words.append("--dry-run")
    assert main(words) == (0 if words[0] in {"train", "list"} else 2)
    error = capsys.readouterr().err
    assert words[0] in {"train", "list"} or re.search(
        "no run folder|has no results|no 'co", error
    ), error
