"""docs/saddles.md: its tables are whole, and written from result files."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from cli.main import main
from figures.runs.folder import RunResults
from landscape.errors import InputError
from landscape.results.hdf5 import save
from tests.figures import run_records

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "saddles.md").read_text(encoding="utf-8")
METHODS = ("ce", "ce-drw", "ce-drw+sam")
SCOPES = tuple(f"class/{c}" for c in range(10))
COMMANDS = "".join(re.findall(r"```sh\n(.*?)```", TEXT, flags=re.S))


@pytest.fixture(scope="module", autouse=True)
def _scripts_import_one_another():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        yield


@pytest.fixture(scope="module")
def saddles():
    return import_module("saddles")


@pytest.fixture(scope="module")
def tables():
    return import_module("saddle_tables")


def table(name, text=TEXT):
    (body,) = re.findall(rf"<!-- table: {re.escape(name)} -->\n(.*?)\n<!-- end", text, flags=re.S)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()[2:]]


@pytest.mark.parametrize("method", METHODS)
def test_every_class_of_every_method_stands_in_a_table(method):
    rows = table(method)
    assert [row[0].split()[0] for row in rows] == [str(c) for c in range(10)]
    for row in rows:
        assert len(row) == 11
        assert row[1].count("±") == row[2].count("±") == 1
        assert row[6] in {"minimum", "weak saddle", "saddle", "undecided"}
        assert all(cell and "nan" not in cell for cell in row)


def test_every_run_stands_in_the_table_of_seeds():
    names = [row[0] for row in table("seeds")]
    assert names == [f"`{m}`, seed {s}" for s in (0, 1) for m in METHODS]


def test_its_figures_are_there_and_made_by_its_commands():
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", TEXT)
    assert shown
    for path in shown:
        assert (DOCS / path).is_file(), path
    assert "python docs/saddles.py" in COMMANDS
    for kind in re.findall(r"saddles-([a-z]+)\.png", " ".join(shown)):
        assert f'"{kind}"' in (DOCS / "saddles.py").read_text(encoding="utf-8")


def test_its_commands_parse(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [line.strip() for line in COMMANDS.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line.replace("$method", "ce").replace("$seed", "0")) for line in lines]
    made = [w[1:] for w in words if w[:1] == ["tailscape"]]
    assert {w[0] for w in made} == {"train", "diagnose"}
    for command in made:
        dry = [*command, "--dry-run"] if command[0] == "train" else command
        assert main(dry) == (0 if command[0] == "train" else 2)


def stored(folder, method, seed, released=SCOPES, lambda_min=-1.0):
    exact = run_records.spectrum(lambda_min=lambda_min, scopes=("overall", *SCOPES))
    run = run_records.write_run(folder, method, exact, seed=seed)
    plan = run_records.plan(method, seed=seed)
    origin = run_records.provenance("spectrum-saddle", "epoch_0200", folder.name, plan)
    theirs = run_records.spectrum(lambda_min=-30.0, scopes=released)
    save(theirs, origin, folder / "results/spectrum-saddle/epoch_0200.h5")
    return run.path


def test_tables_are_written_from_result_files(saddles, tables, tmp_path):
    runs = [
        saddles.Run.read(stored(tmp_path / f"{m}{s}", m, s, lambda_min=-1.0 - s))
        for s in (0, 1)
        for m in METHODS
    ]
    text = tables.with_tables(TEXT, saddles.tables(runs))
    for method in METHODS:
        row = table(method, text)[3]
        assert row[:5] == ["3 (50)", "40.00 ± 0.1", "−1.00 ± 0.1", "−0.900", "−1.10"]
        assert row[5:] == ["0.025", "saddle", "40", "−30", "0.75", "saddle"]
    seeds = table("seeds", text)
    assert seeds[0] == ["`ce`, seed 0", "10 of 10", "0.025 to 0.025", "10 saddle", *seeds[0][4:]]
    assert [row[0] for row in seeds] == [row[0] for row in table("seeds")]
    assert seeds[5][2] == "0.05 to 0.05"
    assert tables.with_tables(text, saddles.tables(runs)) == text
    with pytest.raises(InputError, match="no marks <!-- table: other -->"):
        tables.with_tables(text, {"other": ""})


def test_the_tables_at_scale_are_those_of_the_files_kept(tables):
    found = import_module("saddles_at_scale").tables_at_scale(DOCS / "reproduction")
    assert tables.with_tables(TEXT, found) == TEXT
    rows = table("at-scale")
    assert {row[0] for row in rows} >= {"`ce`", "`ce-drw`"}
    assert all("nan" not in cell for row in rows for cell in row)


def test_what_is_proved_is_rounded_to_the_safe_side(tables):
    assert [tables.towards_zero(x) for x in (-0.04908, -1.999)] == ["−0.0490", "−1.99"]
    assert [tables.downwards(x) for x in (-0.04901, -1.991, 0.01239)] == [
        *("−0.0491", "−2.00", "0.0123")
    ]
    assert tables.downwards(float("nan")) == "–"
    assert tables.interval(-0.05311, 0.00141) == "−0.0531 ± 0.0015"
    assert tables.interval(0.87560432, 1.6e-6) == "0.8756043 ± 1.6e-6"


def test_what_is_not_proved_is_not_said_to_be(saddles, tmp_path):
    run = saddles.Run.read(stored(tmp_path / "run", "ce", 0, lambda_min=-0.05))
    assert np.allclose(run.proved, 0.05)
    assert run.class_rows()[0][3] == "–"
    assert run.seed_row()[1] == "0 of 10"


def test_a_class_that_is_missing_is_named(saddles, tmp_path):
    path = stored(tmp_path / "run", "ce", 0, released=SCOPES[:9])
    with pytest.raises(InputError, match=r"released spectrum of .* lacks class/9"):
        saddles.Run.read(path)
    assert RunResults(path).checkpoints(run_records.Spectrum) == ["epoch_0200"]
