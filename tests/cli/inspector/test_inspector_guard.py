"""What the inspector refuses, and the processes it starts."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from cli.inspector.jobs import JobQueue, diagnose_arguments
from cli.inspector.library import Library
from cli.inspector.view import View
from landscape.errors import InputError
from landscape.results.spectrum import Spectrum
from tests.cli.inspected import (
    HOME,
    callback,
    client,
    said,
    write_run,
)

pytest.importorskip("dash")

from cli.inspector.panels import cells


@pytest.mark.parametrize(
    "name",
    ["..", "../outside", "/etc", "a/../../outside", "link", "a\0", "", "nothing", "x" * 5000],
)
def test_names_outside_the_folder_are_refused(runs, name):
    write_run(runs.parent / "outside", kinds=("accuracy",))
    (runs / "link").symlink_to(runs.parent / "outside")
    library = Library.open(runs)
    assert library.names() == ["a", "b"]
    with pytest.raises(InputError, match="there is no run"):
        library.path(name)


def test_links_of_files_and_inside_files_are_refused(runs, tmp_path):
    secret = write_run(tmp_path / "outside", kinds=("spectrum",))
    own = runs / "a" / "results" / "spectrum" / "epoch_0200.h5"
    own.unlink()
    own.symlink_to(secret / "results" / "spectrum" / "epoch_0200.h5")
    sentences, pictures = said(runs, "spectrum", "a")
    assert "refused" in sentences[0]
    assert pictures == 0
    other = runs / "b" / "results" / "spectrum" / "epoch_0200.h5"
    with h5py.File(other, "a") as file:
        del file["trace"]
        file["trace"] = h5py.ExternalLink(str(own), "trace")
    assert "links to other places" in said(runs, "spectrum", "b")[0][0]
    (runs / "a" / "config.json").unlink()
    (runs / "a" / "config.json").symlink_to(secret / "config.json")
    with pytest.raises(InputError):
        Library.open(runs).config("a")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": HOME}, 200),
        ({"Host": "localhost:8050"}, 200),
        ({"Host": "[::1]:8050"}, 200),
        ({"Host": "127.0.0.1:8051"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Host": "evil.example:8050"}, 403),
        ({"Host": "127.0.0.1.evil.example:8050"}, 403),
    ],
)
def test_host_header(runs, headers, status):
    answer = client(runs)[0].get("/", headers=headers)
    assert answer.status_code == status
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("headers", "is_refused"),
    [
        ({}, False),
        ({"Origin": f"http://{HOME}"}, False),
        ({"Origin": "http://evil.example"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": "http://127.0.0.1:9999"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
    ],
)
def test_requests_of_other_sites_change_nothing(runs, headers, is_refused):
    sent = client(runs)[0].post(
        "/_dash-update-component", json={}, headers={"Host": HOME, **headers}
    )
    assert (sent.status_code == 403) == is_refused


@pytest.mark.parametrize(
    "name",
    ["spectrum.pt", "spectrum", "secret.csv", "..csv", "..\\spectrum.csv", "spectrum.h5.csv"],
)
def test_unknown_downloads(runs, name):
    answer = client(runs)[0].get(f"/download/{name}?runs=a", headers={"Host": HOME})
    assert answer.status_code == 404


def test_addresses_with_folders_are_the_page_itself(runs):
    page = client(runs)[0]
    for name in ("../../etc/passwd", "..%2f..%2fetc%2fpasswd", "assets/../app.py"):
        answer = page.get(f"/download/{name}", headers={"Host": HOME})
        assert b"root:" not in answer.data
        assert answer.status_code == 404 or b"Tailscape inspector" in answer.data


def test_download_of_a_run_outside(runs):
    answer = client(runs)[0].get("/download/spectrum.h5?runs=../x", headers={"Host": HOME})
    assert answer.status_code == 409
    assert b"there is no run" in answer.data


def test_texts_are_escaped_for_pages_alone(tmp_path):
    method = "<img src=x onerror=alert(1)>"
    write_run(tmp_path / "a", method, kinds=("spectrum",))
    library = Library.open(tmp_path)
    record, origin = library.run("a").load(Spectrum, "last")
    assert origin.config["plan"]["method"] == "&lt;img src=x onerror=alert(1)&gt;"
    assert isinstance(record.lambda_min, np.ndarray)
    assert (
        library.run("a", escaped=False).load(Spectrum, "last")[1].config["plan"]["method"] == method
    )
    (row,) = cells(library, View(runs=("a",)), "spectrum")
    assert "<img" not in row[0].figure.to_json().replace("\\u003c", "<")


@pytest.mark.parametrize(
    ("recipe", "checkpoints", "points"),
    [
        ("spectrum; rm -rf /", ["epoch_0001"], 25),
        ("--help", ["epoch_0001"], 25),
        ("spectrum", ["--overwrite"], 25),
        ("spectrum", ["epoch_1 --device cuda"], 25),
        ("spectrum", ["../epoch_0001"], 25),
        ("spectrum", ["epoch_0001,best"], 25),
        ("spectrum", ["last"], 25),
        ("spectrum", ["200"], 25),
        ("spectrum", [], 25),
        ("spectrum", ["all", "epoch_0001"], 25),
        ("surface", ["epoch_0001"], 10_000),
    ],
)
def test_job_arguments_come_from_lists(recipe, checkpoints, points):
    with pytest.raises(InputError):
        diagnose_arguments(Path("/runs/a"), recipe, checkpoints, points=points)


def test_job_arguments():
    command = diagnose_arguments(Path("/r/a"), "surface", ["epoch_0030", "epoch_0100"], points=11)
    assert command == [
        *("diagnose", "/r/a", "--analyses", "surface"),
        *("--checkpoints", "30,100", "--surface.points", "11"),
    ]
    assert diagnose_arguments(Path("/r/a"), "accuracy", ["all"], again=True)[-1] == "--overwrite"
    assert (
        diagnose_arguments(Path("/r/a"), "embedding", ["all"], again=True).count("--overwrite") == 1
    )


def waited(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


def test_jobs_run_one_by_one_and_can_be_cancelled(runs, monkeypatch):
    program = (
        "import sys, time; print('\\x1b[2K━━ class/3 1/4'); sys.stdout.flush(); time.sleep(60)"
    )
    commands = iter([program, "print('error: it broke'); raise SystemExit(2)", "print('wrote it')"])
    real = subprocess.Popen
    monkeypatch.setattr(
        "cli.inspector.jobs.subprocess.Popen",
        lambda _command, **options: real([sys.executable, "-c", next(commands)], **options),
    )
    jobs = JobQueue()
    first = jobs.start("a", runs / "a", "spectrum", ["epoch_0200"])
    assert jobs.start("a", runs / "a", "spectrum", ["epoch_0200"]) is first
    second = jobs.start("a", runs / "a", "accuracy", ["epoch_0200"])
    third = jobs.start("a", runs / "a", "features", ["epoch_0200"])
    waited(lambda: first.last_line() == "class/3 1/4")
    assert (first.state, second.state) == ("running", "waiting")
    jobs.cancel(first.number)
    waited(lambda: not third.is_open)
    assert [j.state for j in (first, second, third)] == ["cancelled", "failed", "done"]
    assert (second.last_line(), third.last_line()) == ("error: it broke", "wrote it")
    assert jobs.count_finished() == 3
    jobs.close()


def test_a_request_cannot_start_what_is_not_there(runs, monkeypatch):
    page, jobs = client(runs)
    started = []
    monkeypatch.setattr(jobs, "start", lambda *a, **_: started.append(a))
    button = {"type": "start", "panel": "spectrum", "row": 0, "again": False}
    for wrong in ({"run": "../x"}, {"at": "epoch_0007"}, {"at": "--help"}):
        own = {**button, "run": "a", "recipe": "spectrum", "at": "epoch_0200", **wrong}
        prop = json.dumps(own, sort_keys=True, separators=(",", ":"))
        inputs = [[{"id": own, "property": "n_clicks", "value": 1}], []]
        state = [
            {"id": "points", "property": "value", "value": 25},
            {"id": "started", "property": "data", "value": 0},
        ]
        answer = callback(page, "..started.data", inputs, state, [f"{prop}.n_clicks"])
        note = answer.get_json()["response"]["job-note"]["children"]
        assert re.search("no run|no checkpoint", note)
    assert started == []


def test_the_server_never_imports_torch(runs):
    program = (
        "import sys; from pathlib import Path; from cli.inspector.app import create;"
        "from cli.inspector.panel_catalogue import PANELS; from cli.inspector.view import View;"
        "from cli.inspector.panels import cells;"
        "from cli.inspector.library import Library; folder = Path(sys.argv[1]); create(folder);"
        "[cells(Library.open(folder), View(runs=('a',)), p) for p in PANELS];"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(runs)], check=True, timeout=60)
