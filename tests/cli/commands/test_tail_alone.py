"""A run on the tail alone: its printed next command works, and says what it leaves out."""

import numpy as np
import pytest

from cli.main import main
from landscape.results.features import Features
from landscape.results.load import read_record
from landscape.results.sharpness import Sharpness
from landscape.results.spectrum import Spectrum

BRIEF = "--spectrum.steps 4 --spectrum.probes 1 --spectrum.trace-probes 2 --device cpu"


@pytest.fixture(scope="module")
def tail(tmp_path_factory):
    run = tmp_path_factory.mktemp("tail") / "run"
    assert main(f"train --classes tail --epochs 1 --device cpu --out {run}".split()) == 0
    return run


def test_default_scopes_are_those_with_samples(tail, capsys):
    assert main(f"diagnose {tail} {BRIEF}".split()) == 0
    out = capsys.readouterr().out
    assert (
        "omitted because they have no samples: head, mid, class/0, class/1, class/2, class/3" in out
    )
    record, _ = read_record(tail / "results/spectrum/epoch_0001.h5", Spectrum)
    assert list(record.scope) == ["overall", "tail", "class/7", "class/8", "class/9"]
    assert main(f"diagnose {tail} {BRIEF} --analyses sharpness --sharpness.draws 1".split()) == 0
    noise, _ = read_record(tail / "results/sharpness/epoch_0001.h5", Sharpness)
    assert list(noise.scope) == list(record.scope)


def test_classes_are_those_with_samples(tail, capsys):
    assert main(f"diagnose {tail} {BRIEF} --scopes classes --overwrite".split()) == 0
    assert "omitted because they have no samples: class/0, class/1" in capsys.readouterr().out
    record, _ = read_record(tail / "results/spectrum/epoch_0001.h5", Spectrum)
    assert list(record.scope) == ["class/7", "class/8", "class/9"]


def test_scopes_of_ones_own_are_an_error(tail, capsys):
    assert main(f"diagnose {tail} {BRIEF} --scopes overall,head --overwrite".split()) == 2
    assert "scope 'head' has no samples" in capsys.readouterr().err


def test_features_have_gaps(tail, capsys):
    assert main(f"diagnose {tail} --analyses features --device cpu".split()) == 0
    assert "nan" in capsys.readouterr().out
    record, _ = read_record(tail / "results/features/epoch_0001.h5", Features)
    assert np.isnan(record.quality[:7]).all()
    assert np.isfinite(record.quality[7:]).all()
    assert np.isnan(record.nc1)


@pytest.mark.filterwarnings("default::landscape.errors.DataWarning")
def test_too_few_samples_for_similarity_are_a_warning(tail, capsys):
    words = f"diagnose {tail} --analyses similarity --similarity.data train --device cpu".split()
    assert main(words) == 0
    said = "similarity keeps 1 principal components of 64 dimensions: CCA needs n ≥ 5 d rows"
    assert said in capsys.readouterr().err
    words += ["--overwrite", "--similarity.components", "1", "--similarity.measures", "cca,cka"]
    assert main(words) == 0


def test_its_next_commands_draw(tail, tmp_path, capsys):
    assert main(f"diagnose {tail} --analyses features --device cpu".split()) == 0
    assert main(["figure", "feature-quality", str(tail), "--out", str(tmp_path)]) == 0
    words = ["figure", "feature-quality", str(tail), "--scopes", "head", "--out", str(tmp_path)]
    assert main(words) == 2
    assert "no class of scope 'head' has samples" in capsys.readouterr().err
