"""The notebook of the Python interface, cell by cell on tiny runs."""

import ast
import json
import sys
import types
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from trainers.methods.rules import RULES

NOTEBOOK = Path(__file__).parents[1] / "docs" / "tour.ipynb"


def cells(kind):
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(c["source"]) for c in content["cells"] if c["cell_type"] == kind]


def shown(code, namespace):
    """Run a cell and return the value of its last expression, as a notebook shows it."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), namespace)
    return None if last is None else eval(ast.unparse(last), namespace)


@pytest.fixture
def in_docs(runs, tmp_path, monkeypatch):
    """The notebook's folder, with the tests' runs where it expects those of the demo."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    for name, run in (("ce-drw", "plain"), ("ce-drw+sam", "sam")):
        (tmp_path / "runs" / "demo" / name).symlink_to(runs / run)
    monkeypatch.chdir(tmp_path / "docs")


@pytest.mark.usefixtures("in_docs", "declared")
def test_every_cell_runs_and_shows_something(monkeypatch):
    notebook, values = types.ModuleType("__main__"), []
    namespace = vars(notebook)
    monkeypatch.setitem(sys.modules, "__main__", notebook)  # where its rule is imported from
    monkeypatch.setitem(RULES, "clipped", None)  # taken out afterwards
    for code in cells("code"):
        values.append(shown(code, namespace))
    figures = [value for value in values if isinstance(value, Figure)]
    tables = [v for v in values if hasattr(v, "_repr_html_") and not isinstance(v, Figure)]
    assert len(figures) >= 9
    assert all(figure.axes for figure in figures)
    assert len(tables) >= 6
    assert all("<" in table._repr_html_() for table in tables)


def test_it_is_small_and_holds_no_error():
    assert NOTEBOOK.stat().st_size < 300_000
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    outputs = [o for c in content["cells"] for o in c.get("outputs", [])]
    assert not [o for o in outputs if o["output_type"] in ("error", "stream")]
