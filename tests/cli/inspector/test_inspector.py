"""The inspector without a browser: views, panels, bad results, downloads, table, speed."""

import json
import time
from dataclasses import replace

import h5py
import numpy as np
import pytest

from cli.inspector.jobs import RECIPES
from cli.inspector.library import Library
from cli.inspector.panel_catalogue import PANELS
from cli.inspector.stored import StoredRun
from cli.inspector.view import View
from landscape.errors import InputError
from landscape.results.hdf5 import save
from landscape.results.surface import Surface
from tests.cli.inspected import (
    HOME,
    callback,
    client,
    said,
    spectrum,
    write_checkpoints,
    write_config,
    write_run,
)
from tests.figures import run_records
from tests.figures.records import surface_record
from trainers.runs.folder import LOCK, RunFolder

pytest.importorskip("dash")

from cli.inspector.downloads import make_download
from cli.inspector.panels import cells
from cli.inspector.run_table import filter_runs, sort_runs


@pytest.mark.parametrize(
    "view",
    [
        View(),
        View(runs=("a", "sub/b&c=d"), epoch=100, focus=7, surface="3d", path=False),
        View(runs=("é <b>",), scopes=("tail", "class/3"), panels=("cca",), measure="cka"),
        View(panels=(), quantity="accuracy", epoch=0, focus=0),
    ],
)
def test_address_spells_out_the_view(view):
    assert View.from_query(view.to_query()) == (view, [])


@pytest.mark.parametrize(
    "query",
    [
        "?epoch=abc",
        "?focus=-1",
        "?panels=passwd",
        "?scopes=../etc",
        "?surface=4d",
        "?epoch=99999999999",
        "?checkpoint=../../etc",
    ],
)
def test_address_with_unusable_values_is_shown_with_a_note(query):
    view, notes = View.from_query(query)
    assert len(notes) == 1
    assert replace(view, panels=View().panels) == View()


def test_address_with_too_many_runs_or_fields():
    assert len(View.from_query("?" + "&".join(f"runs={k}" for k in range(9)))[0].runs) == 4
    assert View.from_query("?" + "&".join(["runs=a"] * 500))[1]


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_is_drawn_for_two_runs(two_runs, panel):
    sentences, pictures = said(two_runs, panel, "a", "b", focus=7, epoch=100)
    assert sentences == []
    assert pictures >= 1


@pytest.mark.parametrize(
    ("panel", "suffixes"),
    [
        *((panel, ("html", "h5", "csv")) for panel in PANELS),
        ("spectrum", ("png", "pdf")),
        # of the same results as the page; every kind is drawn in tests/figures/test_catalogue.py
        *(
            pytest.param(panel, ("png", "pdf"), marks=pytest.mark.slow)
            for panel in PANELS
            if panel != "spectrum"
        ),
    ],
)
def test_every_panel_can_be_downloaded(two_runs, panel, suffixes):
    view, library = View(runs=("a", "b"), focus=2), Library.open(two_runs)
    starts = {"pdf": b"%PDF", "png": b"\x89PNG", "html": b"<", "h5": b"PK", "csv": b"run,"}
    for suffix in suffixes:
        assert make_download(library, view, panel, suffix)[0].startswith(starts[suffix]), suffix


def test_data_of_one_result_are_its_file_and_its_numbers(runs):
    library, view = Library.open(runs), View(runs=("a",))
    file = runs / "a" / "results" / "spectrum" / "epoch_0200.h5"
    assert make_download(library, view, "spectrum", "h5") == (file.read_bytes(), "h5")
    lines = make_download(library, view, "spectrum", "csv")[0].decode().splitlines()
    (line,) = [x for x in lines if "lambda_min,scope=class/9" in x]
    assert float(line.rpartition(",")[2]) == spectrum().lambda_min[-1]


def test_axes_and_colours_are_linked(runs):
    library = Library.open(runs)
    write_surface(runs / "a", surface_record(sharp=1))
    write_surface(runs / "b", surface_record(sharp=9))
    for panel in ("nonconvexity", "surface"):
        (row,) = cells(library, View(runs=("a", "b")), panel)
        first, second = (cell.figure.layout for cell in row)
        assert first.yaxis.range == second.yaxis.range is not None
        assert first.coloraxis.cmax == second.coloraxis.cmax


def test_a_class_is_followed(runs):
    library, view = Library.open(runs), View(runs=("a",), focus=7)
    (row,) = cells(library, view, "nonconvexity")
    shown = {t.name: t.opacity for t in row[0].figure.data}
    assert shown["class 7"] == 1
    assert shown["class 3"] < 0.5
    assert len(cells(library, view, "spectrum")) == 2
    (row,) = cells(library, view, "confusion")
    assert len(row[0].figure.layout.shapes) == 2


def write_surface(folder, record, epoch=200):
    stored = json.loads((folder / "config.json").read_text())["plan"]
    name = f"epoch_{epoch:04d}"
    origin = run_records.provenance("surface", name, folder.name, stored)
    save(record, origin, folder / "results" / "surface" / f"{name}.h5")


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def later_schema(path):
    with h5py.File(path, "a") as file:
        file.attrs["schema"] = "tailscape/9"


def no_hdf5(path):
    path.write_bytes(b"\x80\x04pickle")


def without_attributes(path):
    with h5py.File(path, "a") as file:
        del file.attrs["config"]


@pytest.mark.parametrize("damage", [halve, later_schema, no_hdf5, without_attributes])
def test_a_damaged_result_is_a_sentence_and_the_rest_goes_on(runs, damage):
    damage(runs / "a" / "results" / "accuracy" / "epoch_0200.h5")
    for panel in ("accuracy", "confusion"):
        sentences, pictures = said(runs, panel, "a", "b")
        assert len(sentences) == 1
        assert sentences[0][0].isupper() or sentences[0][0] in "'\""
        assert pictures == 1
    assert said(runs, "spectrum", "a")[1] == 1


def test_a_surface_of_nan(runs):
    record = surface_record()
    write_surface(runs / "a", replace(record, loss=np.full_like(record.loss, np.nan)))
    sentences, pictures = said(runs, "surface", "a", "b")
    assert "finite" in sentences[0]
    assert pictures == 1


def test_runs_of_different_classes(runs):
    write_run(runs / "five", "la", classes=5)
    for panel in PANELS:
        said(runs, panel, "a", "five", focus=8)
    assert "different numbers of classes" in said(runs, "accuracy", "a", "five")[0][0]
    for panel in ("spectrum", "surface"):
        assert "no class 8; it has 5" in said(runs, panel, "a", "five", focus=8)[0][0]
    assert said(runs, "confusion", "a", "five", focus=8)[1] == 2


def test_missing_results_offer_their_analysis(runs):
    write_config(runs / "new")
    write_checkpoints(runs / "new")
    library = Library.open(runs)
    for panel in PANELS:
        for cell in cells(library, View(runs=("new",)), panel)[0]:
            assert cell.sentence.startswith("No ")
            if PANELS[panel].whole:
                assert cell.offer is None
            else:
                assert cell.offer.recipe in RECIPES
    assert "kept no checkpoint of epoch 7" in said(runs, "confusion", "new", epoch=7)[0][0]


def test_a_recording_is_of_the_whole_training(two_runs):
    library = Library.open(two_runs)
    assert "last" not in library.checkpoints("a")
    (row,) = cells(library, View(runs=("a",), epoch=100, focus=2), "recording")
    assert row[0].heading == "a"
    assert "6 records took" in row[0].caption
    (edge,) = (line for line in row[0].figure.data if line.name == "edge of stability")
    assert list(edge.x) == [100, 200, 300, 400, 500, 600]
    file = two_runs / "a" / "results" / "recording" / "last.h5"
    found = make_download(library, View(runs=("a",)), "recording", "h5")
    assert found == (file.read_bytes(), "h5")


def test_an_empty_folder_and_a_run_being_written(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    assert Library.open(folder).names() == []
    write_config(folder / "young")
    with (folder / "young" / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "train_lo')
    (folder / "bad").mkdir()
    (folder / "bad" / "config.json").write_text('{"plan": ')
    library = Library.open(folder)
    with RunFolder(folder / "young").writer():
        assert library.is_being_trained("young")
    (folder / "young" / LOCK).write_text("process 1 on here")  # killed
    assert not library.is_being_trained("young")
    assert library.facts("young").accuracy == 0.71
    assert "damaged" in library.facts("bad").problem
    assert "no checkpoint" in said(folder, "spectrum", "young")[0][0]
    with pytest.raises(InputError, match="is not a folder"):
        Library.open(folder / "nothing")


def test_a_failure_of_drawing_is_a_sentence(runs, monkeypatch, caplog):
    def fails(*_args):
        raise ZeroDivisionError("nobody thought of it")

    monkeypatch.setattr("figures.kinds.conflicts.read", fails)
    sentences, _ = said(runs, "conflicts", "a")
    assert "nobody thought of it" in sentences[0]
    assert "panel" in caplog.text


def test_results_are_read_once_until_they_change(runs, monkeypatch):
    reads = []
    real = StoredRun.load.__globals__["read_record"]
    monkeypatch.setitem(
        StoredRun.load.__globals__, "read_record", lambda *a: reads.append(a) or real(*a)
    )
    run = Library.open(runs).run("a")
    for _ in range(3):
        run.load(Surface, "last")
    assert len(reads) == 1
    write_surface(runs / "a", surface_record(sharp=3))
    run.load(Surface, "last")
    assert len(reads) == 2


def test_table_searches_filters_and_sorts(runs):
    write_config(runs / "c", "vs", data="digits", accuracy=0.9)
    library = Library.open(runs)
    known = [library.facts(name) for name in library.names()]
    names = [f.name for f in filter_runs(library, known, "SAM 100", None, None)]
    assert names == ["b"]
    assert [f.name for f in filter_runs(library, known, "", "digits", None)] == ["c"]
    assert [f.name for f in filter_runs(library, known, "", None, "saddle")] == ["a", "b"]
    down = sort_runs(library, known, {"by": "accuracy", "down": True})
    assert down[0].name == "c"
    assert sort_runs(library, known, {"by": "ratio", "down": True})[-1].name == "c"


def test_the_page_comes_with_its_first_picture_or_once_its_address_is_known(runs):
    page, _ = client(runs)
    search = "?runs=a&runs=gone&panels=confusion"
    sender = {"Referer": f"http://{HOME}/{search}"}
    first = page.get("/_dash-layout", headers={"Host": HOME, **sender}).get_data(as_text=True)
    bare = page.get("/_dash-layout", headers={"Host": HOME}).get_data(as_text=True)
    inputs = [{"id": "url", "property": "search", "value": search}]
    state = [{"id": "built", "property": "data", "value": None}]
    later = callback(page, "page.children", inputs, state).get_data(as_text=True)
    for text in (first, later):
        assert '"type":"heatmap"' in text
        assert "There is no run 'gone' in this folder." in text
    assert "heatmap" not in bare
    state[0]["value"] = search
    assert b"heatmap" not in callback(page, "page.children", inputs, state).data


def test_two_hundred_runs_open_in_two_seconds(tmp_path):
    first = write_run(tmp_path / "run000", kinds=("spectrum", "accuracy"), epochs=range(0, 200, 10))
    saved = (first / "results" / "spectrum" / "epoch_0190.h5").read_bytes()
    for k in range(1, 200):
        folder = tmp_path / f"run{k:03d}"
        write_config(folder, seed=k)
        write_checkpoints(folder, range(0, 200, 10))
        target = folder / "results" / "spectrum" / "epoch_0190.h5"
        target.parent.mkdir(parents=True)
        target.write_bytes(saved)
    page, _ = client(tmp_path)
    began = time.process_time()  # other processes on the same core do not stretch it
    sender = {"Referer": f"http://{HOME}/?runs=run000&runs=run007"}
    assert page.get("/", headers={"Host": HOME}).status_code == 200
    answer = page.get("/_dash-layout", headers={"Host": HOME, **sender})
    assert answer.get_data(as_text=True).count('"type":"scatter"') >= 2
    columns = [
        ("search", "value", ""),
        ("only-data", "value", None),
        ("only-verdict", "value", None),
    ]
    columns += [("sort", "data", {"by": "name", "down": False}), ("chosen", "data", ["run000"])]
    columns += [("finished", "data", 0)]
    inputs = [{"id": i, "property": p, "value": v} for i, p, v in columns]
    inputs += [[], {"id": "watched", "property": "data", "value": True}]
    state = [{"id": "leaf", "property": "data", "value": 0}]
    answer = callback(page, "..table.children", inputs, state)
    assert "200 of 200 runs" in answer.get_data(as_text=True)
    (row,) = cells(Library.open(tmp_path), View(runs=("run000", "run007")), "spectrum")
    assert all(cell.figure is not None for cell in row)
    assert time.process_time() - began < 2
