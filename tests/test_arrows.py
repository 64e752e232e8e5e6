"""The rooms import each other only as designed."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "landscape": set(),
    "trainers": {"landscape"},
    "figures": {"landscape.results"},
    "cli": {"landscape", "trainers", "figures"},
}
TORCH_FREE = [
    "landscape/config.py",
    "landscape/results/__init__.py",
    "landscape/results/matrix.py",
    "landscape/__init__.py",
    "landscape/results/load.py",
    "landscape/results/result.py",
    "landscape/results/table.py",
    "landscape/results/export.py",
    "landscape/results/provenance.py",
    "landscape/analyses/catalogue.py",
    "trainers/methods/part.py",
    "trainers/methods/base.py",
    "trainers/methods/rules.py",
    "trainers/methods/sharpness_rules.py",
    "trainers/methods/regularisers.py",
    "landscape/groups.py",
    "trainers/config.py",
    "trainers/methods/grammar.py",
    "trainers/runs/folder.py",
    "trainers/data/catalogue.py",
    "trainers/models/catalogue.py",
]


def imported(path, *, top_level_only=False):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            yield node.module


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_arrows(room):
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        for name in imported(path):
            top = name.partition(".")[0]
            if top not in MAY_IMPORT or top == room:
                continue
            allowed = any(name == a or name.startswith(a + ".") for a in MAY_IMPORT[room])
            assert allowed, f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("file", TORCH_FREE)
def test_configuration_is_free_of_torch(file):
    assert not {n for n in imported(ROOT / file, top_level_only=True) if n.startswith("torch")}


def test_no_room_for_everything():
    names = {path.stem for room in MAY_IMPORT for path in (ROOT / room).rglob("*")}
    assert not names & {"utils", "helpers", "common", "manager"}
