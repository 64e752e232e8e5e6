"""An analysis is added by its files and a line in the catalogue, and nothing else is told of it."""

import sys

import numpy as np
import pytest

import figures
import landscape
from cli.main import main
from figures.catalogue import FIGURES, FigureKind
from landscape.analyses.catalogue import ANALYSES, differing_settings
from tests.cli.units import toy as toys
from tests.oracles import mlp, toy_data


@pytest.fixture
def _added(monkeypatch):
    monkeypatch.setitem(ANALYSES, "toy", toys.ENTRY)
    monkeypatch.setitem(FIGURES, "toy-bars", FigureKind("shares", shows="toy"))
    monkeypatch.setitem(sys.modules, "figures.kinds.toy_bars", toys)
    yield
    vars(landscape).pop("toy", None)


@pytest.mark.usefixtures("_added")
def test_the_command_line_knows_it(run, capsys):
    command = f"diagnose {run} --analyses toy --checkpoints 2,4 --batch-size 8 --device cpu"
    assert main(command.split()) == 0
    out = capsys.readouterr().out
    assert "toy shares" in " ".join(out.split())
    assert f"tailscape figure toy-bars {run}" in out.replace("\n", "")
    assert main(command.split()) == 0
    assert capsys.readouterr().out.count("kept ") == 2
    assert main([*command.split(), "--dtype", "float64"]) == 0
    assert "made with another dtype" in capsys.readouterr().out
    assert main(["list", "analyses"]) == 0
    assert "share of each class" in capsys.readouterr().out
    record = landscape.open_run(run).result("toy")
    assert type(record) is toys.Toy
    assert record.provenance.config["diagnose"]["batch_size"] == 8
    assert main(["show", str(run / "results/toy/epoch_0004.h5")]) == 0


@pytest.mark.usefixtures("_added")
def test_python_knows_it(tmp_path):
    subject = landscape.Subject(mlp(outputs=3), toy_data((3,), (6, 3, 1)), name="net")
    record = landscape.toy(subject)
    assert record.share.tolist() == [0.6, 0.3, 0.1]
    assert np.array_equal(landscape.load(record.save(tmp_path / "t.h5")).share, record.share)
    assert len(figures.draw("toy-bars", record).axes) == 1
    assert len(figures.page("toy-bars", record).data) == 1
    assert differing_settings("toy", {"seed": 1}, {"seed": 2, "bn": "eval"}) == ["seed"]


def test_nothing_is_left_of_it(runs, capsys):
    assert not hasattr(landscape, "toy")
    assert main(f"diagnose {runs}/plain --analyses toy".split()) == 2
    assert "unknown analysis 'toy'" in capsys.readouterr().err


@pytest.mark.parametrize("entry", ANALYSES.values(), ids=str)
def test_the_figures_of_an_analysis_show_its_record(entry):
    assert {FIGURES[kind].shows for kind in entry.figures} == {entry.name}
