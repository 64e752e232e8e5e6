"""The README's commands, run as they stand."""

import re
import shlex
from pathlib import Path

import pytest

from cli.main import main
from tests.docs.pages import Block, blocks

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
SHELL = [block for block in blocks(README) if block.language == "sh"]
MAKE, OWN, PATH = SHELL


def test_it_is_short():
    assert len(TEXT.splitlines()) < 90


def test_first_block_is_the_makefiles():
    targets = re.findall(r"^make (\w+)", MAKE.text, flags=re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets == ["demo", "test"]
    assert all(f"\n{target}: install" in makefile for target in [*targets, "docs"])


def test_the_main_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in PATH.commands:
        assert main(shlex.split(line)[1:]) == 0, line


def test_the_python_interface(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = (block for block in blocks(README) if block.language == "python")
    assert len(example.text.splitlines()) <= 11
    exec(compile(example.text, "README.md", "exec"), {})
    assert "class/9" in capsys.readouterr().out
    assert (tmp_path / "spectrum.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("line", OWN.commands)
def test_commands_for_a_model_of_ones_own_parse(line, capsys, tmp_path, monkeypatch):
    """Their modules are not here: each gets as far as looking for them."""
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(line)[1:]) == 2
    assert "no module 'mypkg'" in capsys.readouterr().err


def test_every_link_leads_somewhere():
    targets = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert len(targets) > 20
    for target in targets:
        path, _, anchor = target.partition("#")
        assert (ROOT / path).is_file(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", (ROOT / path).read_text(encoding="utf-8"), re.M)
            assert anchor in titles, target


def test_blocks_are_found_indented_and_titled(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        '1. x\n\n    ```sh title="needs y"\n    a \\\n      b\n    ```\n\n```text\nt\n```\n'
    )
    one, other = blocks(page)
    assert (one.needs, one.commands) == (True, ["a    b"])
    assert other == Block("text", "", "t\n")
