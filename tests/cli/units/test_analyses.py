"""Every analysis through the command line, on runs the tests train."""

import re
import shlex

import numpy as np
import pytest
import torch

from cli.main import main
from landscape.analyses import features
from landscape.results.features import Features
from landscape.results.gradients import Gradients
from landscape.results.hdf5 import save
from landscape.results.load import read_record
from landscape.results.matrix import MatrixSpec
from landscape.results.sharpness import Sharpness
from landscape.results.similarity import Similarity
from landscape.results.spectrum import Spectrum
from landscape.results.surface import Surface
from trainers.runs.checkpoint import load_checkpoint
from trainers.runs.folder import RunFolder


def tailscape(command):
    return main(shlex.split(command))


def result(run, analysis, kind, checkpoint="epoch_0004"):
    return read_record(run / "results" / analysis / f"{checkpoint}.h5", kind)


def test_all_of_them(run, capsys):
    command = (
        f"diagnose {run} --analyses surface,gradients,features,similarity,sharpness "
        "--surface.points 3 --similarity.components 5 --features.embedding 4 --sharpness.draws 2 "
        "--sharpness.ratios 0.1,0.5 --scopes overall,class/9 --device cpu"
    )
    assert tailscape(command) == 0
    out = capsys.readouterr().out
    for words in ("pairs in conflict", "neural collapse", "9 of 9 points", "class-balanced draws"):
        assert words in out
    surface, provenance = result(run, "surface", Surface)
    assert surface.done.all()
    assert surface.trajectory_epoch.tolist() == [0, 2, 4]
    assert surface.trajectory_xy[2].tolist() == pytest.approx([0, 0], abs=1e-9)
    assert provenance.config["diagnose"]["surface"]["points"] == 3
    accuracy = surface.scope_accuracy("overall")[1, 1]
    assert 0 <= accuracy <= 1
    assert np.isfinite(result(run, "gradients", Gradients)[0].similarity).all()
    assert result(run, "features", Features)[0].embedding.shape == (40, 2)
    assert result(run, "similarity", Similarity)[0].measure.tolist() == [
        "cca",
        "svcca",
        "pwcca",
        "cka",
    ]
    assert result(run, "sharpness", Sharpness)[0].loss.shape == (2, 2, 2)
    assert tailscape(command) == 0
    assert capsys.readouterr().out.count("kept ") == 5


def test_an_unfinished_surface_goes_on(run, capsys):
    command = f"diagnose {run} --analyses surface --surface.points 3 --device cpu"
    assert tailscape(command) == 0
    whole, provenance = result(run, "surface", Surface)
    path = run / "results/surface/epoch_0004.h5"
    arrays = {name: value.copy() for name, value in vars(whole).items()}
    arrays["done"][0] = False
    arrays["loss"][0] = np.nan
    arrays["complete"] = np.array(False)
    save(Surface(**arrays), provenance, path)
    assert tailscape(command) == 0
    again, _ = result(run, "surface", Surface)
    for name, value in vars(whole).items():
        assert np.array_equal(value, getattr(again, name), equal_nan=value.dtype.kind == "f"), name
    save(Surface(**arrays), provenance, path)
    assert tailscape(command.replace("points 3", "points 5")) == 2
    assert "unfinished surface of other settings" in capsys.readouterr().err


def test_a_damaged_surface_is_overwritten(run, capsys):
    command = f"diagnose {run} --analyses surface --surface.points 3 --device cpu"
    path = run / "results/surface/epoch_0004.h5"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    assert tailscape(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert tailscape(f"{command} --overwrite") == 0
    assert result(run, "surface", Surface)[0].done.all()


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ("--surface.directions pca", ["pca", "pca"]),
        ("--surface.directions checkpoints --surface.through 0,2", ["checkpoint", "checkpoint"]),
        (
            "--surface.directions hessian --surface.scope class/9",
            ["hessian lowest", "hessian highest"],
        ),
        ("--surface.dimensions 1", ["random"]),
        ("--surface.normalisation layer --surface.vectors", ["random", "random"]),
        ("--surface.statistics recomputed --surface.x -0.5 0.5", ["random", "random"]),
    ],
)
@pytest.mark.filterwarnings("always:BatchNorm's running statistics:UserWarning")
def test_directions(run, options, kinds, capsys):
    command = f"diagnose {run} --analyses surface --surface.points 3 --device cpu {options}"
    assert tailscape(command) == 0
    said = capsys.readouterr().err.count("BatchNorm's running statistics")
    assert said == ("through" in options)
    (folder,) = [p.name for p in (run / "results").glob("surface*")]
    found, _ = result(run, folder, Surface)
    assert found.direction_kind.tolist() == kinds
    assert folder == ("surface" if kinds[0] == "random" else f"surface-{options.split()[1]}")
    assert found.done.all()
    if "checkpoints" in options:
        assert found.trajectory_xy[0].tolist() == pytest.approx([1, 0], abs=1e-6)
        assert found.trajectory_residual[0] < 1e-4


def test_several_direction_seeds_are_several_surfaces(run):
    command = f"diagnose {run} --analyses surface --surface.points 3 --surface.seeds 0,7"
    assert tailscape(command) == 0
    one, _ = result(run, "surface", Surface)
    other, _ = result(run, "surface-seed7", Surface)
    centre = (1, 1)
    assert one.loss[centre].tolist() == other.loss[centre].tolist()
    assert not np.array_equal(one.loss, other.loss)


def test_mini_batches_with_the_rules_direction(run):
    command = f"diagnose {run} --analyses gradients --gradients.batches 2 --gradients.direction"
    assert tailscape(f"{command} --checkpoints 0") == 0
    found, _ = result(run, "gradients", Gradients, "epoch_0000")
    assert int(found.batches) == 2
    assert np.isfinite(found.similarity_to_direction).any()
    # before re-weighting begins, plain descent follows the batch gradient
    present = np.isfinite(found.similarity_to_direction)
    assert np.allclose(
        found.similarity_to_direction[present], found.similarity_to_batch[present], atol=1e-4
    )


def test_two_checkpoints_compared(run):
    command = (
        f"diagnose {run} --analyses similarity --similarity.against 0 --similarity.components 5"
    )
    assert tailscape(command) == 0
    found, _ = result(run, "similarity", Similarity)
    assert str(found.paired) == "checkpoint epoch_0000"
    assert np.isfinite(np.diag(found.score[0])).all()


def test_reference_optimum_and_steps(tmp_path):
    common = "train --data digits --epochs 2 --device cpu --imbalance 20"
    assert tailscape(f"{common} --classes tail --out {tmp_path}/tail") == 0
    assert tailscape(f"{common} --checkpoint-steps 3,8 --out {tmp_path}/all") == 0
    folders = [RunFolder(tmp_path / name) for name in ("tail", "all")]
    starts = [load_checkpoint(f.checkpoint("epoch_0000"))["model"] for f in folders]
    assert all(torch.equal(starts[0][k], starts[1][k]) for k in starts[0])
    assert folders[0].config()["class_counts"] == folders[1].config()["class_counts"]
    assert folders[1].checkpoint("step_000003").is_file()
    command = f"diagnose {tmp_path}/all --analyses surface --surface.points 3 --device cpu"
    assert tailscape(f"{command} --surface.marks {tmp_path}/tail --checkpoints step_8") == 0
    found, _ = result(tmp_path / "all", "surface", Surface, "step_000008")
    assert found.mark_name.tolist() == ["tail"]
    assert float(found.mark_residual[0]) > 0


def test_surface_of_a_contrastive_run(tmp_path):
    """Its projection is no part of the network that is judged."""
    run = tmp_path / "bcl"
    train = "train --method bcl --data digits --imbalance 20 --epochs 2 --device cpu"
    assert tailscape(f"{train} --checkpoints 1 --out {run}") == 0
    command = f"diagnose {run} --analyses surface,features --surface.points 3 --device cpu"
    assert tailscape(f"{command} --surface.directions pca") == 0
    found, _ = result(run, "surface-pca", Surface, "epoch_0002")
    assert found.trajectory_residual.max() < 1e-3


def test_a_run_on_the_tail_alone_is_diagnosed(tmp_path):
    assert (
        tailscape(
            "train --data digits --epochs 1 --device cpu --imbalance 20 --classes tail "
            f"--out {tmp_path}/tail"
        )
        == 0
    )
    assert (
        tailscape(f"diagnose {tmp_path}/tail --analyses gradients,surface --surface.points 2") == 0
    )
    found, _ = result(tmp_path / "tail", "gradients", Gradients, "epoch_0001")
    assert np.isnan(found.similarity[0, 9])
    assert np.isfinite(found.similarity[9, 8])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--analyses similarity --similarity.components 11", r"n = 54 samples a side and d = 11"),
        (
            "--analyses similarity --similarity.components 5 --similarity.measures ccca",
            "did you mean 'cca'",
        ),
        ("--analyses surface --surface.points 1", "surface.points is 1; it must be at least 2"),
        ("--analyses surface --surface.directions checkpoints", "needs one or two"),
        ("--analyses surface --surface.marks /nowhere", "has no checkpoint to mark"),
        ("--checkpoints step_9", "no checkpoint"),
    ],
)
def test_mistakes(run, capsys, options, sentence):
    assert tailscape(f"diagnose {run} --device cpu {options}") == 2
    assert re.search(sentence, capsys.readouterr().err)


def test_batches_have_the_size_asked_for(run, monkeypatch):
    used = []
    original = features.penultimate_features

    def watched(model, classifier, data, batch_size):
        used.append(batch_size)
        return original(model, classifier, data, batch_size)

    monkeypatch.setattr(features, "penultimate_features", watched)
    options = "--similarity.components 5 --similarity.draws 1 --batch-size 37 --device cpu"
    assert tailscape(f"diagnose {run} --analyses features,similarity {options}") == 0
    assert used == [37, 37]


def test_the_size_of_mini_batches_stands_in_the_file(run):
    command = f"diagnose {run} --analyses gradients --gradients.batches 2 --device cpu"
    assert tailscape(command) == 0
    found, provenance = result(run, "gradients", Gradients)
    size = RunFolder(run).plan().recipe.batch_size
    assert found.samples.sum() == 2 * size
    assert provenance.config["diagnose"]["batch_size"] == size != 256


def test_by_batch_statistics_there_is_no_verdict(run):
    command = f"diagnose {run} --analyses spectrum --bn batch --spectrum.steps 2 --scopes overall"
    few = "--samples-per-class 2 --spectrum.probes 1 --spectrum.trace-probes 0"
    assert tailscape(f"{command} {few} --device cpu") == 0
    found, provenance = result(run, "spectrum-bn-batch", Spectrum)
    assert found.verdict.tolist() == [""]
    assert not MatrixSpec.stored(provenance).is_hessian
