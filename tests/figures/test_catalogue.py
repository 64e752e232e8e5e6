"""Every kind of figure: drawn from the table in three formats, each file read once."""

import pkgutil
import sys
from collections import Counter

import h5py
import pytest

import figures
import figures.kinds
from cli.main import main
from figures.catalogue import FIGURES, FigureKind, read_both, read_figure
from figures.pages.write import write
from landscape.errors import InputError
from tests.figures import run_records
from tests.figures.complete_run import OPTIONS, complete_run

FORMATS = (".pdf", ".png", ".html")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Runs of two radii with a result of every analysis, to be read only."""
    folder = tmp_path_factory.mktemp("two")
    return [complete_run(folder / f"rho{rho}", rho) for rho in (0.1, 0.2)]


@pytest.fixture
def opened(monkeypatch):
    """Count how often each HDF5 file is opened."""
    found = Counter()
    real = h5py.File

    def counted(path, *rest):
        found[str(path)] += 1
        return real(path, *rest)

    monkeypatch.setattr("landscape.results.load.h5py.File", counted)
    return found


@pytest.mark.parametrize("kind", FIGURES)
def test_each_file_is_read_once_for_all_formats(kind, two, opened, tmp_path):
    request = run_records.request(*two, options=OPTIONS.get(kind, {}))
    drawing, on_page = read_both(kind, request)
    paths = write(drawing, kind, tmp_path / "out", on_page=on_page)
    assert {path.name for path in paths} >= {f"{kind}{suffix}" for suffix in FORMATS}
    assert all(path.stat().st_size > 5000 for path in paths if path.suffix in FORMATS)
    assert opened
    assert set(opened.values()) == {1}


def test_a_matrix_is_named_without_reading_its_spectrum(two, monkeypatch):
    monkeypatch.setattr("landscape.results.load.read_array", None)
    assert set(two[0].matrices()) == {"hessian"}


def test_weights_of_classes_need_no_record(two, monkeypatch):
    monkeypatch.setattr("landscape.results.load.read_array", None)
    (tail,) = read_figure("focal-weights", run_records.request(*two)).tails
    assert tail.counts.tolist() == run_records.counts()


TOY = '''
"""The overall accuracy of each run."""

import numpy as np

from figures.charts.lines import Chart, Key
from figures.charts.panel import Axis, Line, Panel, colour, marker
from figures.runs.history import snapshots
from landscape.results.accuracy import Accuracy


def read(request):
    """Read the accuracies."""
    unit = float(request.options.get("unit", "1"))
    found = snapshots(request.runs, Accuracy, request.checkpoint)
    lines = [
        Line(one.label, np.array([k]), unit * one.record.group[:1], colour(k), marker(k))
        for k, one in enumerate(found)
    ]
    panel = Panel("toy", lines, Axis("run"), Axis("accuracy"))
    return Chart([[panel]], "A toy", (3.0, 2.0), 300, key=Key())
'''


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Add a kind of figure as a file and a line of the catalogue."""
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "toy.py").write_text(TOY)
    monkeypatch.setattr(figures.kinds, "__path__", [*figures.kinds.__path__, str(folder)])
    monkeypatch.setitem(FIGURES, "toy", FigureKind("accuracy of each run", shows="accuracy"))
    yield
    sys.modules.pop("figures.kinds.toy", None)


@pytest.mark.usefixtures("toy")
def test_a_new_kind_is_a_file_and_a_line_of_the_catalogue(two, tmp_path, capsys):
    folders = [str(run.path) for run in two]
    drawn = figures.draw("toy", *folders, unit=100)
    page = figures.page("toy", *folders, unit=100)
    (axes,) = drawn.axes
    heights = [line.get_ydata()[0] for line in axes.lines]
    assert heights == [trace.y[0] for trace in page.data] == [75.0, 75.0]
    names = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert names == [trace.name for trace in page.data] == ["rho0.1", "rho0.2"]
    assert main(["figure", "toy", *folders, "--out", str(tmp_path / "out")]) == 0
    found = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert found == ["plotly.min.js", "toy.html", "toy.pdf", "toy.png"]
    assert all((tmp_path / "out" / name).stat().st_size > 5000 for name in found)
    assert main(["list", "figures"]) == 0
    assert "accuracy of each run" in capsys.readouterr().out
    assert main(["report", *folders, "--out", str(tmp_path / "report")]) == 0
    assert '<section id="toy">' in (tmp_path / "report/index.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("toy")
def test_the_api_knows_the_needs_of_a_new_kind():
    origin = run_records.provenance("spectrum", "epoch_0200", "run", run_records.plan())
    record = run_records.spectrum().with_provenance(origin)
    with pytest.raises(InputError, match=r"'toy' shows results of landscape\.accuracy"):
        figures.draw("toy", record)


def test_files_are_named_after_their_kinds():
    names = {kind.replace("-", "_") for kind in FIGURES}
    files = {module.name for module in pkgutil.iter_modules(figures.kinds.__path__)}
    assert names == files
