"""What the page opens on: the newest runs, each in its colour, on scales that a play keeps."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from cli.inspector.jobs import AnalysisJob
from cli.inspector.library import Library
from cli.inspector.linking import colour_runs
from cli.inspector.view import View
from figures.charts.panel import colour
from tests.cli.inspected import HOME, client, write_config, write_run, write_two_runs

pytest.importorskip("dash")

from cli.inspector.layout import page_at
from cli.inspector.panels import cells


def touch(folder, seconds):
    for path in [*(folder / "results").glob("*"), folder / "config.json"]:
        os.utime(path, (seconds, seconds))


def test_the_newest_runs_with_spectra_are_chosen_on_the_same_data(tmp_path):
    for place, (name, data) in enumerate([("a", "digits"), ("b", "digits"), ("c", "cifar10")]):
        write_run(tmp_path / name, data=data, epochs=(200,), kinds=("spectrum",))
        touch(tmp_path / name, 1000 + place)
    write_config(tmp_path / "bare", data="digits")
    library = Library.open(tmp_path)
    assert library.newest() == ("c",)
    touch(tmp_path / "a", 2000)
    assert library.newest() == ("a", "b")
    assert str(page_at(library, "")).count("'a · epoch 200 · overall'") == 1


def test_each_run_has_its_colour_in_every_panel(tmp_path):
    library = Library.open(write_two_runs(tmp_path))
    view = View(runs=("a", "b"))
    (row,) = cells(library, view, "spectrum")
    assert [cell.colour for cell in row] == [colour(0), colour(1)]
    for cell in row:
        assert cell.figure.data[0].fillcolor == cell.colour
    ((joint,),) = cells(library, view, "accuracy")
    assert {colour(0), colour(1)} <= {trace.marker.color for trace in joint.figure.data}
    only = colour_runs(cells(library, View(runs=("b",)), "accuracy")[0][0].figure, [1])
    assert {trace.marker.color for trace in only.data} <= {colour(1), None}


def test_scales_are_the_same_for_every_checkpoint_and_run(tmp_path):
    library, found = Library.open(write_two_runs(tmp_path)), []
    for epoch in (0, 100, None):
        (row,) = cells(library, View(runs=("a", "b"), epoch=epoch), "spectrum")
        found += [(cell.figure.layout.xaxis.range, cell.figure.layout.yaxis.range) for cell in row]
    for x, y in found[1:]:
        assert np.allclose(x, found[0][0])
        assert np.allclose(y, found[0][1])


def test_a_film_over_the_checkpoints_can_be_downloaded(tmp_path):
    write_run(tmp_path / "a", kinds=("spectrum",))
    page, jobs = client(tmp_path)
    answer = page.get("/download/spectrum.gif?runs=a", headers={"Host": HOME})
    assert answer.status_code == 200
    assert Image.open(io.BytesIO(answer.data)).n_frames == 3
    refused = page.get("/download/nonconvexity.gif?runs=a", headers={"Host": HOME})
    assert refused.status_code == 409
    jobs.close()


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("epoch_0150 spectrum class/3 (2 of 4) ━━━━ 0:01:23", "0:01:23"),
        ("epoch_0150 spectrum class/3 (1 of 4) ━━━━ -:--:--", ""),
        ("wrote runs/a/results/spectrum/epoch_0150.h5", ""),
    ],
)
def test_a_running_analysis_says_how_long_it_takes(tmp_path, line, left):
    log = tmp_path / "1.log"
    log.write_text(line, encoding="utf-8")
    job = AnalysisJob(1, "a", "spectrum", ("epoch_0150",), [], log, state="running")
    assert job.left() == left
    job.end("done")
    assert job.left() == ""


def test_checkpoints_that_lack_scopes_are_offered_and_no_others(tmp_path):
    write_run(tmp_path / "a", kinds=("spectrum",))
    library = Library.open(tmp_path)
    assert cells(library, View(runs=("a",)), "nonconvexity")[0][0].offer is None
    from landscape.results.hdf5 import save
    from landscape.results.load import read_record
    from landscape.results.spectrum import Spectrum
    from tests.figures import run_records

    file = tmp_path / "a/results/spectrum/epoch_0100.h5"
    origin = read_record(file, Spectrum)[1]
    save(run_records.spectrum(-2.0, ("overall", "tail"), 0), origin, file)
    (cell,) = cells(library, View(runs=("a",)), "nonconvexity")[0]
    assert cell.figure is not None
    assert (cell.offer.checkpoints, cell.offer.again) == (("epoch_0100",), True)
