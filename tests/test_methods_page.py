"""docs/methods.md: as its script writes it; each row can be trained, and list names its words."""

import importlib.util
import shlex
from pathlib import Path

import pytest

from cli.main import main
from trainers.config import TrainConfig
from trainers.methods.grammar import KINDS, parse_method
from trainers.recipes import RECIPES
from trainers.resolve import resolve

DOCS = Path(__file__).parents[1] / "docs"
CLASSES = {"CIFAR-10-LT": 10, "CIFAR-100-LT": 100, "ImageNet-LT": 1000, "Places-LT": 365}
CLASSES |= {"iNaturalist 2018": 8142}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("methods_page", DOCS / "methods.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_written_by_its_script(script):
    assert (DOCS / "methods.md").read_text(encoding="utf-8") == script.page()


def test_no_row_stands_twice(script):
    rows = list(script.rows())
    assert len(set(rows)) == len(rows) > 150


def test_every_row_can_be_trained(script, monkeypatch):
    """Sentence, recipe and settings resolve on each of the row's data."""
    monkeypatch.setattr("trainers.resolve.clip_folder", lambda *_, **__: None)
    monkeypatch.setattr("trainers.resolve.vision_shape", lambda _: {"num_hidden_layers": 12})
    for row in script.rows():
        words = shlex.split(row.options)
        flags = dict(zip(words[::2], words[1::2], strict=True))
        given = {flag[2:].replace("-", "_"): value for flag, value in flags.items()}
        for number in ("epochs", "imbalance"):
            given |= {number: int(given[number])} if number in given else {}
        given |= {"settings": (given["settings"],)} if "settings" in given else {}
        for title in (title for title in CLASSES if title in row.data):
            classes = CLASSES[title]
            data = f"cifar{classes}" if classes <= 100 else "filelist:x"
            for recipe in row.recipes:
                plan = resolve(
                    TrainConfig(method=row.method, data=data, recipe=recipe, **given), classes
                )
                assert plan.epochs >= RECIPES[recipe].recipe.epochs or "epochs" in given
                shared = plan.settings["rule"].get("shared_epochs")
                early = (
                    "early stop" in row.row or row.row.startswith("w/ temp") or "PLOT" in row.row
                )
                assert shared is None or (shared < 1) == early


def test_every_set_has_a_recipe(script):
    for row in script.rows():
        named = sum(title in row.data for title in CLASSES)
        assert named
        assert len(row.recipes) in (1, named)


def test_list_names_every_word(script, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    assert main(["list", "methods"]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = {tuple(line.split()[:2]) for line in lines}
    for row in script.rows():
        method = parse_method(row.method)
        for kind, word in method.words.items():
            assert not word or (kind, word) in listed
            assert word in KINDS[kind]
        assert method.system is None or ("system", method.system_name) in listed


def test_list_names_every_recipe(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    assert main(["list", "recipes"]) == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert set(RECIPES) <= listed
