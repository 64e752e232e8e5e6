"""Spectra through the command line: which matrix, kept graphs, warm starts, chance."""

import re
import shlex
from dataclasses import replace

import numpy as np
import pytest
import torch

from cli.main import main
from cli.tables import class_table, graphs_line
from landscape.analyses import spectrum_saddle
from landscape.results.hdf5 import save
from landscape.results.load import read_record
from landscape.results.spectrum import Spectrum
from tests.cli import external_nets

QUICK = "--spectrum.steps 3 --spectrum.probes 1 --spectrum.trace-probes 2 --device cpu"
PART = "--analyses spectrum --scopes class/8,class/9"


def tailscape(command):
    return main(shlex.split(command))


def spectrum(run, folder="spectrum", checkpoint="epoch_0004"):
    return read_record(run / "results" / folder / f"{checkpoint}.h5", Spectrum)


def test_another_matrix_never_touches_the_hessians_results(run, capsys):
    command = f"diagnose {run} {PART} {QUICK}"
    assert tailscape(command) == 0
    assert "Hessian: ce-drw" in capsys.readouterr().out
    before = (run / "results/spectrum/epoch_0004.h5").read_bytes()
    assert tailscape(f"{command} --spectrum.curvature ggn --overwrite") == 0
    out = capsys.readouterr().out
    assert "Gauss-Newton matrix: ce-drw" in out
    assert f"tailscape figure spectrum {run} --options matrix=ggn" in out.replace("\n", "")
    assert (run / "results/spectrum/epoch_0004.h5").read_bytes() == before
    assert spectrum(run, "spectrum-ggn")[0].lambda_min.min() > -1e-3
    assert tailscape(f"show {run}/results/spectrum-ggn/epoch_0004.h5") == 0
    assert "Gauss-Newton matrix: ce-drw" in capsys.readouterr().out
    assert tailscape(f"figure spectrum {run} --options matrix=ggn") == 0


@pytest.mark.parametrize(
    ("flags", "folder"),
    [
        ("--spectrum.blocks", "spectrum-blocks"),
        ("--spectrum.weight-decay 0.01", "spectrum-decay0.01"),
        ("--spectrum.parameters 'layer1.*'", r"spectrum-of-layer1-[0-9a-f]{6}"),
        ("--bn batch", "spectrum-bn-batch"),
    ],
)
def test_every_matrix_has_its_folder(run, flags, folder):
    assert tailscape(f"diagnose {run} {PART} {QUICK} {flags}") == 0
    (found,) = [p.name for p in (run / "results").iterdir()]
    assert re.fullmatch(folder, found)


def test_no_verdict_is_a_dash(runs, tmp_path):
    record, origin = spectrum(runs / "plain")
    empty = replace(record, verdict=np.full(len(record.verdict), ""))
    save(empty, origin, tmp_path / "results/spectrum/epoch_0004.h5")
    table = class_table(tmp_path, "epoch_0004")
    (verdicts,) = (one for one in table.columns if one.header == "verdict")
    assert set(verdicts._cells) == {"–"}
    lines = str(empty.with_provenance(origin)).splitlines()[2:]
    assert all(line.endswith(" –") for line in lines)


def test_the_choice_of_graphs_is_printed_for_every_checkpoint(run, capsys):
    command = f"diagnose {run} {PART} {QUICK} --checkpoints 2,4"
    assert tailscape(command) == 0
    out = capsys.readouterr().out
    for name in ("epoch_0002", "epoch_0004"):
        assert f"{name}: graphs kept between products for every scope" in out
    assert "(--spectrum.memory-budget 4 GiB)" in out.replace("\n", " ")
    assert tailscape(f"{command} --spectrum.memory-budget 0 --overwrite") == 0
    out = capsys.readouterr().out.replace("\n", " ")
    for name in ("epoch_0002", "epoch_0004"):
        line = f"{name}: graphs kept in part: class/8 0 %, class/9 0 % of the batches"
        assert line in out
    assert "--spectrum.memory-budget above 0 GiB would avoid recomputing the rest" in out


def test_there_is_no_such_line_without_a_spectrum(tmp_path):
    assert graphs_line(tmp_path, "epoch_0001") is None


def test_warm_starts_follow_the_training(run, capsys):
    exact = "--spectrum.steps 20 --spectrum.probes 1 --spectrum.trace-probes 2 --device cpu"
    command = f"diagnose {run} --analyses spectrum --scopes class/9 {exact} --checkpoints 2,4"
    assert tailscape(command) == 0
    cold, _ = spectrum(run)
    assert tailscape(f"{command} --spectrum.warm-start --overwrite") == 0
    warm, origin = spectrum(run)
    capsys.readouterr()
    assert origin.config["diagnose"]["spectrum"]["warm_start"] is True
    assert warm.matvecs.tolist() != cold.matvecs.tolist()
    for end in ("lambda_min", "lambda_max"):
        both = (getattr(record, end) for record in (cold, warm))
        bounds = (getattr(record, f"{end}_bound") for record in (cold, warm))
        assert (abs(np.subtract(*both)) <= sum(bounds) + 1e-4).all()
    alone, _ = spectrum(run, checkpoint="epoch_0002")
    assert alone.scope.tolist() == warm.scope.tolist()


def test_a_random_loss_is_refused_or_marked(tmp_path, capsys):
    nets = "tests.cli.external_nets"
    torch.save(external_nets.Own(4).state_dict(), tmp_path / "own.pt")
    command = (
        f"diagnose --model {nets}:Own --data {nets}:noisy --loss {nets}:smoothed "
        f"--weights {tmp_path}/own.pt --out {tmp_path}/out {QUICK} --analyses spectrum "
        "--scopes overall --spectrum.memory-budget 0"
    )
    assert tailscape(command) == 2
    sentence = " ".join(capsys.readouterr().err.split())
    assert "came out differently the second time" in sentence
    assert "--spectrum.allow-nondeterministic" in sentence
    assert tailscape(f"{command} --spectrum.allow-nondeterministic") == 0
    (path,) = (tmp_path / "out/results/spectrum").glob("*.h5")
    record, origin = read_record(path, Spectrum)
    assert origin.config["diagnose"]["spectrum"]["allow_nondeterministic"] is True
    assert (record.repeatability > 1e-3 * abs(record.lambda_max)).all()


def test_the_released_protocol_takes_precision_and_samples(run, monkeypatch):
    monkeypatch.setattr(spectrum_saddle, "MOST_TRACE_PROBES", 2)
    command = f"diagnose {run} --analyses spectrum --scopes class/9 --protocol saddle --device cpu"
    assert tailscape(f"{command} --samples-per-class 4 --dtype float64") == 0
    record, origin = spectrum(run, "spectrum-saddle")
    assert record.samples.tolist() == [4]
    assert origin.dtype == "float64"


def test_the_released_protocol_refuses_other_settings(run, capsys):
    assert tailscape(f"diagnose {run} {PART} --protocol saddle --spectrum.curvature ggn") == 2
    assert "leave --spectrum.curvature out" in " ".join(capsys.readouterr().err.split())


def test_rows_of_layers_count_as_their_scope(run, capsys):
    command = f"diagnose {run} --analyses spectrum --scopes tail --spectrum.blocks --device cpu"
    options = "--samples-per-class 4 --spectrum.steps 6 --spectrum.trace-probes 2"
    assert main([*command.split(), *options.split()]) == 0
    said = capsys.readouterr().out
    assert "tail@conv1" in said
    assert "left out" not in said
