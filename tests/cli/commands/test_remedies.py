"""The commands that messages propose are ones that the command line takes."""

import json
import shlex
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from cli.commands.diagnose import Diagnose
from cli.main import _parsed, main
from cli.sources.chosen import chosen_checkpoints
from figures.catalogue import read_figure
from figures.pages.animation import animate
from figures.request import Request
from figures.runs.folder import RunResults
from landscape.analyses.catalogue import ANALYSES
from landscape.errors import InputError
from landscape.groups import scope_classes
from landscape.results.accuracy import Accuracy
from landscape.results.features import Features
from landscape.results.hdf5 import save
from landscape.results.load import load, load_provenance, record_types
from landscape.results.recording import Recording
from landscape.results.remedy import checkpoints_of, remedy
from landscape.results.spectrum import Spectrum
from landscape.run import open_run
from tests.figures import gradient_records, run_records
from tests.figures.records import surface_record


@pytest.fixture
def blank(tmp_path):
    """A run of three checkpoints in a folder whose name has a blank; a spectrum of one."""
    run = tmp_path / "my run"
    for part in ("checkpoints", "results/spectrum"):
        (run / part).mkdir(parents=True)
    (run / "config.json").write_text("{}", encoding="utf-8")
    for name in ("epoch_0000", "epoch_0004", "best", "last"):
        (run / "checkpoints" / f"{name}.pt").touch()
    return run


def proposed(raised):
    """Parse the command that a message ends with, as a shell and then the command line do."""
    words = shlex.split(str(raised.value).partition("run: ")[2])
    assert words[:2] == ["tailscape", "diagnose"]
    found = _parsed(Diagnose, words[2:], "diagnose")
    found._check()
    return found


@pytest.mark.parametrize("kind", record_types().values())
@pytest.mark.parametrize("checkpoint", ["last", "4", "best"])
def test_a_lacking_result_proposes_its_diagnosis(kind, checkpoint, blank):
    with pytest.raises(InputError, match="has no ") as raised:
        RunResults.open(blank).load(kind, checkpoint)
    found = proposed(raised)
    assert found.run_folder == blank
    assert found.options.analyses == (kind.analysis_name(),)
    assert chosen_checkpoints(sorted(checkpoints_of(blank)), checkpoint, checkpoints_of(blank))


@pytest.mark.parametrize(
    "ask",
    [
        lambda run: open_run(run).result("surface-pca"),
        lambda run: open_run(run).to_xarray(),
        lambda run: load(run / "results" / "accuracy" / "epoch_0004.h5"),
        lambda run: read_figure("nonconvexity", Request((RunResults.open(run),))),
        lambda run: read_figure("compare", Request((RunResults.open(run),) * 2)),
    ],
)
def test_every_reader_proposes_a_diagnosis_of_the_run(ask, blank):
    with pytest.raises(InputError) as raised:
        ask(blank)
    assert proposed(raised).run_folder == blank


def _no_head_tail():
    return replace(gradient_records.similarity(), head_tail=np.full(4, np.nan))


def _no_direction():
    return replace(run_records.gradients(), similarity_to_direction=np.full(10, np.nan))


@pytest.mark.parametrize(
    ("kind", "record", "options"),
    [
        ("protocol", run_records.spectrum, {}),
        ("cca", _no_head_tail, {}),
        ("cca", partial(gradient_records.similarity, measures=("cka",)), {"measure": "cca"}),
        ("trajectory", surface_record, {}),
        ("embedding", gradient_records.features, {}),
        ("gradient-similarity", _no_direction, {"against": "direction"}),
    ],
)
def test_a_result_that_lacks_a_part_proposes_its_diagnosis(kind, record, options, tmp_path):
    run = run_records.write_run(tmp_path / "cat's run", "ce", record())
    with pytest.raises(InputError) as raised:
        read_figure(kind, Request((run,), options=options))
    found = proposed(raised)
    assert found.run_folder == run.path
    assert found.options.analyses == (record().analysis_name(),)
    assert found.options.overwrite == (kind != "protocol")


def test_a_film_and_a_further_matrix_propose_a_diagnosis_of_the_run_that_lacks_them(tmp_path):
    runs = [
        run_records.write_run(tmp_path / f"cat's {name}", "ce", run_records.spectrum())
        for name in "ab"
    ]
    with pytest.raises(InputError, match="on each, run:") as raised:
        animate("spectrum", Request(tuple(runs)), tmp_path)
    assert proposed(raised).run_folder == runs[0].path
    path = runs[0].path / "results/spectrum/epoch_0200.h5"
    origin = load_provenance(path)
    other = {"diagnose": {"spectrum": {"curvature": "ggn"}}}
    stored = replace(origin, config=origin.config | other)
    save(run_records.spectrum(), stored, path.parents[1] / "spectrum-ggn" / path.name)
    with pytest.raises(InputError, match="while the others have one") as raised:
        read_figure("spectrum", Request(tuple(runs), options={"matrix": "ggn"}))
    assert proposed(raised).run_folder == runs[1].path
    assert proposed(raised).options.spectrum.curvature == "ggn"


def test_what_no_diagnosis_makes_is_not_proposed(blank):
    run = RunResults.open(blank)
    with pytest.raises(InputError, match=r"landscape.Recorder$"):
        run.load(Recording, "last")
    with pytest.raises(InputError, match=r"such a checkpoint; there are 0, 4, best$"):
        run.load(Spectrum, "149")
    with pytest.raises(InputError, match="did you mean 'spectrum'"):
        open_run(blank).result("spectrm")
    assert "recording" not in ANALYSES


def test_a_model_of_ones_own_is_diagnosed_by_the_command_that_opened_it(blank):
    weights = blank.parent / "my best.pth"
    weights.touch()
    words = ["tailscape", "diagnose", "--model", "nets:Own", "--weights", str(weights)]
    words += ["--data", "nets:digits", "--out", str(blank)]
    stored = json.dumps({"outside": {"command": shlex.join(words)}})
    (blank / "config.json").write_text(stored, encoding="utf-8")
    with pytest.raises(InputError) as raised:
        RunResults.open(blank).load(Accuracy, "last")
    found = proposed(raised)
    assert (found.run_folder, found.outside.out) == (None, blank)
    for file in (blank / "checkpoints").glob("*"):
        file.unlink()
    (blank / "results" / "features").mkdir()
    (blank / "results" / "features" / "best.h5").touch()
    with pytest.raises(InputError, match=r"only of best; .*named by their epoch"):
        read_figure("feature-quality", Request((RunResults.open(blank),)))
    with pytest.raises(InputError, match="such a checkpoint; there are best"):
        RunResults.open(blank).load(Features, "2")
    assert remedy(blank, "features", "all").endswith("--checkpoints all")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("show method", "name the method"),
        ("show {run}x", "did you mean 'my run'"),
        ("report {run} --checkpoint 2", "those with results: 4"),
        ("list figure", "did you mean 'figures'"),
        ("list run", "did you mean 'runs'"),
        ("train --method CE", "did you mean 'ce'"),
    ],
)
def test_a_word_that_is_wrong_is_answered_with_those_that_are_right(words, said, blank, capsys):
    (blank / "results" / "spectrum" / "epoch_0004.h5").touch()
    assert main([word.format(run=blank) for word in words.split()]) == 2
    assert said in capsys.readouterr().err


def test_a_class_beyond_the_last_is_answered_with_how_many_there_are():
    with pytest.raises(InputError, match=r"there are 10, class/0 to class/9$"):
        scope_classes(["class/10"], [5] * 10)


def test_an_epoch_may_be_a_number(blank):
    (blank / "results" / "spectrum" / "epoch_0004.h5").touch()
    with pytest.raises(InputError, match="at checkpoint '9'"):
        open_run(blank).result("spectrum", 9)
    with pytest.raises(InputError, match=r"epoch_0004.h5"):  # found, and no result file
        open_run(blank).result("spectrum", 4)
