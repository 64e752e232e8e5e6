"""Names of runs in figures: short, and no two alike."""

from dataclasses import replace

import pytest

from cli.inspector.stored import StoredRun
from figures.kinds import conflicts
from figures.runs.folder import RunResults
from figures.runs.labels import run_labels
from tests.figures.run_records import gradients, plan, provenance, request, write_run


def origins(*names, method="ce"):
    return [provenance("accuracy", "epoch_0200", name, plan(method)) for name in names]


@pytest.mark.parametrize(
    ("folders", "labels"),
    [
        (("a", "b"), ["a", "b"]),
        (("a/seed0", "b/seed0"), ["a/seed0", "b/seed0"]),
        (("a/x/seed0", "b/x/seed0", "c"), ["a/x/seed0", "b/x/seed0", "c"]),
        (("a/seed0", "a/seed0"), ["seed0 1", "seed0 2"]),
    ],
)
def test_folders_are_lengthened_until_they_differ(folders, labels, tmp_path):
    runs = [RunResults(tmp_path / name) for name in folders]
    assert run_labels(origins(*(run.name for run in runs)), runs) == labels


def test_methods_name_runs_where_they_differ():
    found = [*origins("seed0"), *origins("seed0", method="ldam")]
    assert run_labels(found) == ["ce", "ldam"]


def test_without_folders_names_are_numbered():
    assert run_labels(origins("Sequential", "Sequential")) == ["Sequential 1", "Sequential 2"]


def test_a_figure_of_runs_of_one_folder_name(tmp_path):
    runs = [
        write_run(tmp_path / name / "seed0", "ce", gradients(), seed=k)
        for k, name in enumerate("ab")
    ]
    found = conflicts.read(request(*runs)).page().layout.annotations
    assert {a.text.partition(",")[0] for a in found} >= {"a/seed0", "b/seed0"}


def test_folders_are_no_markup_on_pages(tmp_path):
    runs = [StoredRun(tmp_path / f"<b>{name}" / "seed0", root=tmp_path) for name in "ab"]
    assert run_labels(origins("seed0", "seed0"), runs) == ["&lt;b&gt;a/seed0", "&lt;b&gt;b/seed0"]
    shown = [replace(run, escaped=False) for run in runs]
    assert run_labels(origins("seed0", "seed0"), shown) == ["<b>a/seed0", "<b>b/seed0"]
