"""The rooms import each other only as designed."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "landscape": set(),
    "trainers": {"landscape"},
    "figures": {"landscape.results"},
    "cli": {"landscape", "trainers", "figures"},
}
# inside landscape: each knows only those before it
CATALOGUE = "landscape.analyses.catalogue"  # names alone, so that every layer may read it
LAYERS = ["results", "subject", "curvature", "weight_space", "analyses"]
MOST_AT_A_ROOT = 12
TORCH_FREE = [
    "landscape/__init__.py",
    "landscape/config.py",
    "landscape/groups.py",
    "landscape/run.py",
    "landscape/analyses/catalogue.py",
    *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "landscape/results").glob("*.py")),
    "trainers/config.py",
    "trainers/recipes.py",
    "trainers/data/catalogue.py",
    "trainers/models/catalogue.py",
    *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "trainers/methods").glob("*.py")),
    "trainers/runs/folder.py",
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


def modules():
    """The product's modules by their dotted names."""
    paths = (path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py"))
    parts = {path: path.relative_to(ROOT).with_suffix("").parts for path in paths}
    return {".".join(p).removesuffix(".__init__"): path for path, p in parts.items()}


def executed(node):
    """All nodes but those that only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from executed(child)


def known(path, names):
    """Modules of ours that a file imports, at its top or inside a function."""
    for node in executed(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & set(names)
        elif isinstance(node, ast.ImportFrom) and node.module in names:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from inner & set(names) or {node.module}


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


@pytest.mark.parametrize("layer", LAYERS)
def test_arrows_inside_landscape(layer):
    above = {f"landscape.{name}" for name in LAYERS[LAYERS.index(layer) + 1 :]}
    for path in sorted((ROOT / "landscape" / layer).rglob("*.py")):
        found = {".".join(name.split(".")[:2]) for name in imported(path) if name != CATALOGUE}
        assert not found & above, f"{path.relative_to(ROOT)} imports {found & above}"


def test_the_catalogue_of_analyses_holds_names_alone():
    path = modules()[CATALOGUE]
    assert set(known(path, modules())) == {
        "landscape.config",
        "landscape.errors",
        "landscape.results.plugins",
    }


def test_no_circle():
    names = modules()
    graph = {name: set(known(path, names)) for name, path in names.items()}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError with the circle
    assert set(order) == set(names)


def test_kinds_of_figures_do_not_import_each_other():
    names = modules()
    kinds = [name for name in names if name.startswith("figures.kinds.")]
    assert kinds
    pairs = {(kind, other) for kind in kinds for other in known(names[kind], names)}
    assert not {(kind, other) for kind, other in pairs if other in kinds}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_few_files_at_the_root_of_a_room(room):
    files = {path.name for path in (ROOT / room).glob("*.py")} - {"__init__.py"}
    assert 0 < len(files) <= MOST_AT_A_ROOT


@pytest.mark.parametrize("file", TORCH_FREE)
def test_configuration_is_free_of_torch(file):
    assert not {n for n in imported(ROOT / file, top_level_only=True) if n.startswith("torch")}


def test_no_room_for_everything():
    names = {path.stem for room in MAY_IMPORT for path in (ROOT / room).rglob("*")}
    assert not names & {"utils", "helpers", "common", "manager"}
