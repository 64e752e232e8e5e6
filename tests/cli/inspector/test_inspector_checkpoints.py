"""The inspector's checkpoints that are no epochs, and external models."""

import json
import shutil

import pytest

from cli.inspector.jobs import diagnose_arguments
from cli.inspector.library import Library
from cli.inspector.view import View
from landscape.results.checkpoint_names import is_name
from tests.cli.inspected import (
    COMMAND,
    callback,
    client,
    said,
    spectrum,
    write_config,
    write_external,
    write_results,
    write_run,
)

pytest.importorskip("dash")

from cli.inspector.downloads import make_download
from cli.inspector.panels import cells


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    stored = json.loads((write_run(folder / "a") / "config.json").read_text())["plan"]
    for name in ("best", "step_000050"):
        write_results(folder / "a", name, stored, share=0.5)
        (folder / "a" / "checkpoints" / f"{name}.pt").write_bytes(b"not to be opened")
    write_external(folder / "mine")
    return folder


@pytest.fixture
def runs(written, tmp_path):
    return shutil.copytree(written, tmp_path / "runs")


def headings(folder, panel, *names, **view):
    rows = cells(Library.open(folder), View(runs=names, **view), panel)
    return [cell.heading for row in rows for cell in row if cell.figure is not None]


@pytest.mark.parametrize("name", ["best", "step_000050", "model_final", "a.b=c-d", "200", "last"])
def test_names_of_checkpoints(name):
    assert is_name(name)
    view = View(checkpoint=name)
    assert View.from_query(view.to_query()) == (view, [])


@pytest.mark.parametrize("name", ["../x", ".x", "a/b", "a,b", "-x", "a b", "a\0", "x" * 300, "é"])
def test_what_is_no_name_of_a_checkpoint(name):
    assert not is_name(name)
    view, notes = View.from_query(View(checkpoint=name).to_query())
    assert (view, len(notes)) == (View(), 1)


def test_epochs_come_first_and_others_by_the_alphabet(runs):
    last = runs / "a" / "checkpoints"
    for name in ("last", ".tailscape-x", "epoch_10000", "b,c"):
        (last / f"{name}.pt").write_bytes(b"")
    expected = [f"epoch_{e:04d}" for e in (0, 100, 200, 10000)]
    assert Library.open(runs).checkpoints("a") == [*expected, "step_000050", "best"]
    assert Library.open(runs).checkpoints("mine") == ["model_final"]


@pytest.mark.parametrize("panel", ["spectrum", "surface", "confusion", "conflicts", "embedding"])
def test_a_named_checkpoint_is_shown(runs, panel):
    (heading,) = headings(runs, panel, "a", checkpoint="best")
    assert heading.startswith("a · best")
    assert headings(runs, panel, "a", checkpoint="best", epoch=100) == [heading]


def test_a_run_without_epochs_shows_its_last_name_wherever_the_slider_stands(runs):
    for view in ({}, {"epoch": 100}, {"checkpoint": "best"}):
        found = headings(runs, "spectrum", "mine", "a", **view)
        assert found[0] == "mine · model_final · overall"
        assert len(found) == 2
    write_results(runs / "mine", "other", json.loads(_config(runs / "mine"))["plan"])
    assert headings(runs, "spectrum", "mine") == ["mine · other · overall"]
    (found,) = headings(runs, "spectrum", "mine", checkpoint="model_final")
    assert "model_final" in found


def _config(folder):
    return (folder / "config.json").read_text()


def test_a_name_that_a_run_lacks_is_said(runs):
    (sentence,), _ = said(runs, "spectrum", "a", checkpoint="ema")
    assert "no checkpoint ema; it kept 0, 100, 200, step 50, best" in sentence


def test_runs_in_one_picture_keep_each_their_checkpoint(runs):
    shutil.rmtree(runs / "a" / "results" / "accuracy")
    stored = json.loads(_config(runs / "a"))["plan"]
    write_results(runs / "a", "epoch_0200", stored, seed=1, kinds=("accuracy",))
    write_results(runs / "a", "best", stored, seed=2, kinds=("accuracy",))
    (row,) = cells(Library.open(runs), View(runs=("a", "mine"), checkpoint="best"), "accuracy")
    (alone,) = cells(Library.open(runs), View(runs=("a",), checkpoint="best"), "accuracy")
    assert list(row[0].figure.data[0].y) == list(alone[0].figure.data[0].y)
    (last,) = cells(Library.open(runs), View(runs=("a",)), "accuracy")
    assert list(alone[0].figure.data[0].y) != list(last[0].figure.data[0].y)


def test_downloads_are_of_the_named_checkpoint(runs):
    view, library = View(runs=("a",), checkpoint="best"), Library.open(runs)
    file = runs / "a" / "results" / "spectrum" / "best.h5"
    assert make_download(library, view, "spectrum", "h5") == (file.read_bytes(), "h5")
    lines = make_download(library, view, "spectrum", "csv")[0].decode().splitlines()
    (line,) = [x for x in lines if "lambda_min,scope=class/9" in x]
    assert line.startswith("a,best,")
    assert float(line.rpartition(",")[2]) == spectrum(share=0.5).lambda_min[-1]
    both = View(runs=("a", "mine"), checkpoint="best")
    assert make_download(library, both, "accuracy", "png")[0].startswith(b"\x89PNG")


def test_named_checkpoints_can_be_chosen_beside_the_slider(runs):
    page, _ = client(runs)
    inputs = [_wire("chosen", "data", ["a", "mine"]), _wire("finished", "data", 0)]
    state = [_wire("view", "data", "?runs=a&runs=mine&epoch=100&checkpoint=best")]
    answer = callback(page, "..epochs.data", inputs, state).get_json()["response"]
    assert answer["epochs"]["data"] == {"unit": "epoch", "at": [0, 100, 200]}
    assert (answer["epoch"]["value"], answer["named"]["value"]) == (1, "best")
    assert [option["label"] for option in answer["named"]["options"]] == [
        *("by epoch", "best", "model_final", "step 50")
    ]
    assert answer["at-named"]["hidden"] is False
    write_config(runs / "new")
    inputs[0]["value"] = ["new"]
    state[0]["value"] = "?runs=new"
    answer = callback(page, "..epochs.data", inputs, state).get_json()["response"]
    assert answer["at-named"]["hidden"] is True


def _wire(name, prop, value):
    return {"id": name, "property": prop, "value": value}


def test_the_table_of_an_external_model(runs):
    facts = Library.open(runs).facts("mine")
    assert (facts.problem, facts.seed, facts.epoch) == ("", None, None)
    assert Library.open(runs).curvature("mine").verdict == "saddle"


def test_a_missing_result_of_an_external_model_is_a_command_to_type(runs):
    (row,) = cells(Library.open(runs), View(runs=("mine",)), "surface")
    assert row[0].sentence == "No surface of model_final yet."
    assert row[0].offer.command == COMMAND
    (sentence,), _ = said(runs, "nonconvexity", "mine")
    assert sentence == (
        "No spectrum over training: the names of this model's checkpoints say no epoch or step."
    )
    page = _panel(client(runs)[0], "mine", "surface")
    assert "start" not in {part["id"]["type"] for part in _all(page) if "id" in part}
    (code,) = [part["children"] for part in _all(page) if "--analyses" in part.get("children", "")]
    assert code == f"{COMMAND} --analyses surface"


def test_an_external_trajectory_is_one_of_epochs(runs):
    stored = json.loads(_config(runs / "mine"))["plan"]
    for name in ("epoch_0010", "epoch_0020"):
        write_results(runs / "mine", name, stored, kinds=("spectrum",))
    assert said(runs, "nonconvexity", "mine") == ([], 1)
    assert headings(runs, "spectrum", "mine", epoch=10) == ["mine · epoch 10 · overall"]
    page = client(runs)[0]
    for panel, flags in {
        "confusion": "--analyses accuracy --checkpoints 20",
        "cca": "--analyses similarity --checkpoints all",
    }.items():
        found = [part.get("children", "") for part in _all(_panel(page, "mine", panel))]
        assert f"{COMMAND} {flags}" in found


def _panel(page, run, panel):
    inputs = [_wire("view", "data", f"?runs={run}"), _wire("finished", "data", 0)]
    inputs.append({"id": {"type": "seen", "panel": panel}, "property": "data", "value": True})
    own = {"type": "body", "panel": panel}
    state = [{"id": {"type": "drawn", "panel": panel}, "property": "data", "value": None}]
    state.append({"id": own, "property": "id", "value": own})
    outputs = [{"id": own, "property": "children"}, {"id": state[0]["id"], "property": "data"}]
    answer = callback(page, "..{", inputs, state, outputs=outputs).get_json()["response"]
    return answer[json.dumps(own, sort_keys=True, separators=(",", ":"))]["children"]


def _all(part):
    """Every component's properties."""
    if isinstance(part, list):
        return [found for one in part for found in _all(one)]
    if not isinstance(part, dict) or "props" not in part:
        return []
    return [part["props"], *_all(part["props"].get("children"))]


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (COMMAND, COMMAND),
        ("tailscape diagnose a; rm -rf ~", "tailscape diagnose 'a;' rm -rf '~'"),
        ("tailscape diagnose $(id) `id`", "tailscape diagnose '$(id)' '`id`'"),
        ("rm -rf /", ""),
        ("tailscape diagnose a\nrm -rf /", ""),
        ("tailscape diagnose 'a", ""),
        (["tailscape", "diagnose"], ""),
        (None, ""),
    ],
)
def test_a_stored_command_is_shown_so_that_a_shell_runs_nothing_else(tmp_path, stored, shown):
    write_external(tmp_path / "mine", command=stored)
    assert Library.open(tmp_path).external_command("mine") == shown


def test_no_analysis_starts_on_an_external_model(runs, monkeypatch):
    (runs / "mine" / "checkpoints").mkdir()
    (runs / "mine" / "checkpoints" / "epoch_0001.pt").write_bytes(b"")
    page, jobs = client(runs)
    started = []
    monkeypatch.setattr(jobs, "start", lambda *a, **_: started.append(a))
    button = {"type": "start", "panel": "surface", "row": 0, "again": False, "recipe": "surface"}
    for run, at in (
        ("mine", "model_final"),
        ("mine", "epoch_0001"),
        ("mine", "all"),
        ("a", "best"),
    ):
        own = {**button, "run": run, "at": at}
        prop = json.dumps(own, sort_keys=True, separators=(",", ":"))
        inputs = [[{"id": own, "property": "n_clicks", "value": 1}], []]
        state = [_wire("points", "value", 25), _wire("started", "data", 0)]
        answer = callback(page, "..started.data", inputs, state, [f"{prop}.n_clicks"])
        note = answer.get_json()["response"]["job-note"]["children"]
        assert ("external model" in note) == (run == "mine")
    assert [call[0] for call in started] == ["a"]


def test_arguments_of_named_checkpoints(tmp_path):
    command = diagnose_arguments(tmp_path, "accuracy", ["epoch_0030", "best", "step_000050"])
    assert command[-1] == "30,best,step_50"
