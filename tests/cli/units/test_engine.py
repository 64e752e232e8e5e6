"""Units of work by either engine."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

import landscape
from cli.main import main
from cli.units.engine import EngineConfig, _chains, run_units
from cli.units.unit import Unit
from landscape.config import DiagnoseConfig, SpectrumConfig
from landscape.errors import InputError
from landscape.results.gradients import Gradients
from landscape.results.load import read_record


def tailscape(*words):
    command = [sys.executable, "-m", "cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


def test_ray_writes_what_the_serial_engine_writes(run, tmp_path):
    """One that cannot be run does not keep the others from being written; warnings are heard."""
    options = ["--checkpoints", "2,4", "--samples-per-class", "5", "--device", "cpu"]
    options += ["--surface.directions", "checkpoints"]  # and none is named
    options += ["--analyses", "gradients,similarity,surface"]
    spread = tailscape("diagnose", run, *options, "--engine", "ray")
    assert spread.returncode == 2
    failed = "surface-checkpoints of epoch_0002, surface-checkpoints of epoch_0004: "
    assert f"error: 2 of 6 results were not computed; {failed}" in spread.stderr
    assert spread.stderr.count("warning: similarity keeps 10 principal components") == 1
    assert spread.stdout.count("wrote") == 4
    serial = tmp_path / "serial"
    shutil.copytree(run, serial, ignore=shutil.ignore_patterns("results"))
    assert main(["diagnose", str(serial), *options[:-1], "gradients"]) == 0
    for checkpoint in ("epoch_0002", "epoch_0004"):
        path = f"results/gradients/{checkpoint}.h5"
        ours, theirs = (
            read_record(serial / path, Gradients),
            read_record(run / path, Gradients),
        )
        assert ours[0].similarity == pytest.approx(theirs[0].similarity, abs=1e-5)
        assert ours[1].weights_sha256 == theirs[1].weights_sha256


def test_warm_starts_stay_together(tmp_path):
    warm = DiagnoseConfig(spectrum=SpectrumConfig(warm_start=True))
    units = [
        Unit(tmp_path, f"epoch_{e:04d}", analysis, warm)
        for e in (1, 2)
        for analysis in ("spectrum", "accuracy")
    ]
    first, *others = _chains(units)
    assert [(u.checkpoint, u.analysis) for u in first] == [
        ("epoch_0001", "spectrum"),
        ("epoch_0002", "spectrum"),
    ]
    assert [len(chain) for chain in others] == [1, 1]
    assert len(_chains([Unit(tmp_path, "epoch_0001", "spectrum", DiagnoseConfig())] * 3)) == 3


def test_serial_units_report_and_stop_at_an_error(tmp_path):
    unit = Unit(tmp_path / "absent", "epoch_0001", "accuracy", DiagnoseConfig())
    with pytest.raises(InputError, match="no run folder"):
        list(run_units([unit], EngineConfig(), lambda *_: None))


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--unit-cpus", "0"], "--unit-cpus is 0; it must be at least 1"),
        (["--unit-gpus", "-1"], "--unit-gpus is -1"),
    ],
)
def test_values_out_of_range(runs, option, words, capsys):
    assert main(["diagnose", str(runs / "plain"), *option]) == 2
    assert words in capsys.readouterr().err


def test_without_ray(runs, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    options = ["--engine", "ray", "--overwrite", "--analyses", "accuracy"]
    assert main(["diagnose", str(runs / "plain"), *options]) == 2
    assert "pip install 'tailscape[ray]'" in capsys.readouterr().err


def test_analyses_that_share_spectra_stay_together(tmp_path):
    config = DiagnoseConfig(analyses=("spectrum", "accuracy", "spikes"))
    units = [
        Unit(tmp_path, f"epoch_{e:04d}", analysis, config)
        for e in (1, 2)
        for analysis in config.analyses
    ]
    found = [[(u.checkpoint[-1], u.analysis) for u in chain] for chain in _chains(units)]
    pairs = [[(e, "spectrum"), (e, "spikes")] for e in "12"]
    assert found == [*pairs, [("1", "accuracy")], [("2", "accuracy")]]


def test_spikes_after_a_spectrum_are_those_of_spikes_alone(run, tmp_path, capsys):
    alone = tmp_path / "alone"
    shutil.copytree(run, alone)
    command = (
        "--scopes overall,class/0 --samples-per-class 3 --spectrum.steps 3 --spectrum.probes 1 "
        "--spectrum.trace-probes 0 --spikes.vectors 3 --checkpoints 4 --device cpu"
    )
    assert main(f"diagnose {run} --analyses spikes,spectrum {command}".split()) == 0
    assert main(f"diagnose {alone} --analyses spikes {command}".split()) == 0
    found, again = (landscape.load(f / "results/spikes/epoch_0004.h5") for f in (run, alone))
    assert np.array_equal(found.curvature, again.curvature)
    assert np.array_equal(found.class_value, again.class_value, equal_nan=True)
    assert "omitted" not in capsys.readouterr().out
