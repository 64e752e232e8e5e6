"""The README's commands, run as they stand."""

import re
import shlex
import typing
from pathlib import Path

import pytest
from torch.distributed.run import get_args_parser

from cli.main import Command, main
from figures.catalogue import FIGURES
from landscape.analyses.catalogue import ANALYSES
from trainers.methods.grammar import KINDS
from trainers.methods.systems import SYSTEMS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


def test_first_block_is_the_makefiles():
    targets = re.findall(r"^make (\w+)", blocks("sh")[0], flags=re.M)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets == ["demo", "test"]
    assert all(f"\n{target}: install" in makefile for target in targets)


def test_the_main_path_and_the_python_example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in blocks("sh")[1].splitlines():
        assert main(shlex.split(line)[1:]) == 0, line
    stored = next(example for example in blocks("python") if "xarray" in example)
    exec(compile(stored, "README.md", "exec"), {})


def test_the_python_interface(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = (block for block in blocks("python") if "landscape.spectrum" in block)
    exec(compile(example, "README.md", "exec"), {})
    assert "class/9" in capsys.readouterr().out
    assert (tmp_path / "spectrum.h5").is_file()
    assert (tmp_path / "spectrum.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("line", blocks("sh")[3].splitlines())
def test_commands_for_a_model_of_ones_own_parse(line, capsys, tmp_path, monkeypatch):
    """Their modules and data are not here: each gets as far as looking for them."""
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(line)[1:]) == 2
    assert re.search("no module 'mypkg'|there is no folder 'images'", capsys.readouterr().err)


@pytest.mark.parametrize("line", blocks("sh")[2].splitlines())
def test_real_image_commands_parse(line, capsys, tmp_path, monkeypatch):
    """Their data are not here: each gets as far as looking for them."""
    monkeypatch.chdir(tmp_path)
    words = [word for word in shlex.split(line)[1:] if word != "--download"]
    assert main(words) == 2
    assert re.search("no whole copy|has no folder|no folder", capsys.readouterr().err)


def commands():
    """Every line of every shell block."""
    return [line for block in blocks("sh") for line in block.splitlines() if line]


@pytest.fixture
def parsed(monkeypatch):
    """Parse a command line without running it."""
    seen = []
    for choice in typing.get_args(Command):
        kind = typing.get_args(choice)[0]
        monkeypatch.setattr(kind, "run", lambda asked: seen.append(asked))
    return seen


@pytest.mark.parametrize("line", [line for line in commands() if not line.startswith("make")])
def test_every_command_parses(line, parsed):
    words = shlex.split(line, comments=True)
    if words[0] == "torchrun":
        asked = get_args_parser().parse_args(words[1:])
        assert asked.no_python
        words = [asked.training_script, *asked.training_script_args]
    assert words[0] == "tailscape"
    assert main(words[1:]) == 0
    (command,) = parsed
    if words[1] == "diagnose":
        command.options.check()
        command.engine.check()


def test_the_block_at_scale_is_among_them():
    scale = [line for line in commands() if "--engine ray" in line or "torchrun" in line]
    assert len(scale) >= 2


def test_the_table_of_analyses_names_every_figure():
    rows = dict(re.findall(r"^\| `([a-z]+)` \| .* \| (`.*`) \|$", README, flags=re.M))
    assert set(ANALYSES) <= set(rows)
    named = {n for name in ANALYSES for n in re.findall(r"`([a-z-]+)`", rows[name])}
    assert named == set(FIGURES)


def test_the_method_table_is_complete():
    kinds = "|".join((*KINDS, "system"))
    rows = set(re.findall(rf"^\| ({kinds}) \| `([a-z0-9-]+)`", README, flags=re.M))
    words = {(kind, n) for kind, table in KINDS.items() for n in table if n not in ("", "sgd")}
    assert rows == words | {("system", n) for n in SYSTEMS}


def test_the_picture_is_there():
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).is_file(), path
