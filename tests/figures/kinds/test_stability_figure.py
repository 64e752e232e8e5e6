"""The picture of stability says when a scope was first above the edge."""

import numpy as np
import pytest

from figures.kinds.stability import finding, read
from figures.runs.folder import RunResults
from landscape.errors import InputError
from landscape.results.hdf5 import save
from tests.figures import run_records
from tests.figures.diagnostic_records import stability


@pytest.fixture
def run(tmp_path):
    return written(tmp_path / "run")


def written(folder, rho=0.05):
    found = run_records.write_run(folder, "ce-drw", stability(1.0, rho=rho))
    stored = run_records.plan("ce-drw")
    for epoch, share in ((0, 0.0), (100, 0.5)):
        name = f"epoch_{epoch:04d}"
        origin = run_records.provenance("stability", name, folder.name, stored)
        save(stability(share, rho=rho), origin, folder / "results/stability" / f"{name}.h5")
    assert isinstance(found, RunResults)
    return found


def test_the_caption_says_when_the_edge_was_crossed():
    epochs = np.array([0, 10, 50, 90])
    low, high = np.array([2.0, 0.5, 0.9, 1.1]), np.array([2.1, 0.6, 1.05, 1.2])
    said = (
        "tail above the edge at 1 of 3 trained checkpoints, first at epoch 90 (still below at 10)"
    )
    assert finding(epochs, low, high, "tail") == said
    below = finding(epochs, low / 4, high / 4, "head")
    assert below == "head is below the edge at all 3 trained checkpoints"
    unsure = finding(epochs, 0.9 * np.ones(4), 1.1 * np.ones(4), "head")
    assert unsure == "head is nowhere proved above it at all 3 trained checkpoints"
    assert "no learning rate" in finding(epochs, low * np.nan, high * np.nan, "head")


def test_lines_are_ratios_with_their_brackets(run):
    chart = read(run_records.request(run))
    edges, alignment = chart.rows[0]
    assert [line.label for line in edges.lines] == ["overall", "head", "mid", "tail", "SAM's edge"]
    tail = edges.lines[3]
    record = stability(1.0)
    k = record.scope.tolist().index("tail")
    assert tail.y[-1] == pytest.approx(record.edge[k])
    assert tail.error[1, -1] == pytest.approx(record.edge_bracket[k, 1] - record.edge[k])
    assert tail.error[0, -1] == pytest.approx(0)
    assert edges.lines[-1].y[-1] == pytest.approx(record.sam_threshold / record.threshold)
    assert "tail above the edge" in edges.title
    assert "cos² of the way to the next checkpoint:\n0.02" in alignment.title
    assert chart.draw().axes
    assert chart.page().data


def test_escape_and_classes(run):
    chart = read(run_records.request(run, options={"show": "escape"}, scopes=("classes",)))
    assert len(chart.rows[0][0].lines) == 11
    record = stability(1.0)
    k = record.scope.tolist().index("class/9")
    assert chart.rows[0][1].lines[9].y[-1] == pytest.approx(record.escape[k])
    with pytest.raises(InputError, match="no stability of 'class/77'"):
        read(run_records.request(run, scopes=("class/77",)))


def test_without_sam_there_is_no_number_of_escape(tmp_path):
    run = written(tmp_path / "plain", rho=np.nan)
    assert len(read(run_records.request(run)).rows[0][0].lines) == 4
    with pytest.raises(InputError, match="no radius of SAM is known"):
        read(run_records.request(run, options={"show": "escape"}))
