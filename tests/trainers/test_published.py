"""What a run of a paper's system says of data and networks that its paper does not name."""

import hashlib
import json
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest

from cli.main import main
from landscape.errors import DepartureWarning
from tests.trainers.data.test_data import write_image
from trainers.config import TrainConfig
from trainers.data.longtail import longtail_counts, longtail_indices
from trainers.models.catalogue import build_model
from trainers.models.network import parameter_count
from trainers.published import departures
from trainers.resolve import resolve
from trainers.training import train

CIFAR10 = longtail_counts([5000] * 10, 100)
RESNET32, RESNET30 = 463_504, 389_520


def found(method="plot", counts=CIFAR10, size=RESNET32, **given):
    options = {"data": "cifar10", "imbalance": 100} | given
    plan = resolve(TrainConfig(method=method, **options), len(counts))
    return departures(plan, counts, size)


@pytest.mark.parametrize(("name", "size"), [("resnet32", RESNET32), ("resnet30", RESNET30)])
def test_sizes_of_the_named_networks(name, size):
    model = build_model(name, 10)
    assert parameter_count(model) - parameter_count(model.head) == size


@pytest.mark.parametrize("imbalance", [10, 50, 100, 200])
@pytest.mark.parametrize("method", ["saddle", "plot", "gkp-gsa", "ce", "la+focal-sam"])
def test_what_the_papers_name_is_silent(method, imbalance):
    counts = longtail_counts([500] * 100, imbalance)
    assert found(method, counts, data="cifar100", imbalance=imbalance) == []
    assert found("plot@released", counts, RESNET30, data="cifar100", imbalance=imbalance) == []


def test_other_methods_and_digits_are_silent():
    assert found("ce", [3, 2], 5, data="folder:x") == []
    assert found("saddle", [3] * 10, 5, data="digits") == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"imbalance": 30, "counts": longtail_counts([5000] * 10, 30)},
            "none that the papers name",
        ),
        (
            {"imbalance_type": "step", "counts": (5000,) * 5 + (50,) * 5},
            "none that the papers name",
        ),
        ({"counts": (40, 20, 10), "data": "folder:x"}, "70 samples of 3 classes"),
        ({"data": "folder:x"}, "in the order of their file names.*--data cifar10"),
        ({"subset_seed": 3}, "--subset-seed 3, that of 'plot' with 0"),
        ({"model": "resnet20", "size": 269_072}, r"resnet20, of 269,072 .*resnet32 \(463,504\)"),
        ({"size": 462_000}, "resnet32, of 462,000 parameters"),
        ({"method": "plot@released", "model": "resnet32"}, r"resnet30 \(389,520\)"),
        ({"method": "plot@released", "size": RESNET30, "subset_seed": 0}, "with 50"),
    ],
)
def test_departures_are_said(given, sentence):
    (only,) = found(**given)
    assert re.search(sentence, only)


def test_networks_of_large_data():
    large = {"data": "filelist:x", "imbalance": 1}
    assert found("saddle", [9] * 1000, 1, model="resnext50", **large) == []
    (only,) = found("saddle", [9] * 8142, 1, model="resnext50", **large)
    assert "the papers name resnet50" in only


def test_the_clip_model_of_focal_sam():
    named = {"hidden_size": 768, "num_hidden_layers": 12, "patch_size": 16, "image_size": 224}
    plan = resolve(TrainConfig(method="focal-sam", data="filelist:x"), 1000)
    for patch, count in ((16, 0), (32, 1)):
        other = replace(plan, model="clip:x", vision=named | {"patch_size": patch})
        sentences = departures(other, [9] * 1000, 85_799_424)
        assert len(sentences) == count
        assert all("patch_size 32; the paper names ViT-B/16" in s for s in sentences)


@pytest.fixture
def tree(tmp_path):
    for split, count in (("train", 12), ("test", 2)):
        for label in range(2):
            for i in range(count):
                path = tmp_path / "tree" / split / f"c{label}" / f"{i:02}.png"
                write_image(path, 40 * label + i, side=8)
    return tmp_path / "tree"


def test_training_warns_and_stores_it(tree, tmp_path):
    config = TrainConfig(
        method="saddle", data=f"folder:{tree}", imbalance=3, model="resnet8", epochs=1,
        device="cpu", out=tmp_path / "run",
    )  # fmt: skip
    with pytest.warns(DepartureWarning) as caught:
        folder = train(config).folder
    assert len(caught) == 2
    stored = folder.config()
    assert stored["departures"] == [str(warning.message) for warning in caught]
    assert "none that the papers name" in stored["departures"][0]
    assert "resnet8" in stored["departures"][1]


def test_the_command_prints_subset_and_parameters(tree, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    arguments = f"train --method saddle --data folder:{tree} --imbalance 3 --model resnet8"
    arguments += f" --epochs 1 --device cpu --out {tmp_path}/run"
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(arguments.split()) == 0
    printed = capsys.readouterr()
    labels = np.repeat([0, 1], 12)
    kept = longtail_indices(labels, longtail_counts([12, 12], 3))
    digest = hashlib.sha256(kept.astype("<i8").tobytes()).hexdigest()
    assert f"16 training samples\nsubset {digest}\n" in printed.out
    count = parameter_count(build_model("resnet8", 2, 3))
    assert f"resnet8, {count:,} parameters" in printed.out
    assert "tailscape: warning: the network is resnet8" in printed.err
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (stored["subset_sha256"], stored["parameters"]) == (digest, count)
