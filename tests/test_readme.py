"""The README's commands, run as they stand."""

import re
import shlex
from pathlib import Path

import pytest

from cli.main import main
from trainers.methods import KINDS, SYSTEMS

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


def test_the_method_table_is_complete():
    kinds = "|".join((*KINDS, "system"))
    rows = set(re.findall(rf"^\| ({kinds}) \| `([a-z-]+)`", README, flags=re.M))
    words = {(kind, n) for kind, table in KINDS.items() for n in table if n not in ("", "sgd")}
    assert rows == words | {("system", n) for n in SYSTEMS}


def test_the_picture_is_there():
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).is_file(), path
