"""Recipes of the large sets: what the papers and their code say, and a rehearsal of each."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import ResNet
from torchvision.models.resnet import BasicBlock

from cli.main import main
from landscape.errors import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.load import load
from tests.tiny_clip import save_tiny_clip
from tests.trainers.data.test_data import CPU
from trainers.config import TrainConfig
from trainers.data.images import FileImages, with_views
from trainers.models.catalogue import MODELS, build_model
from trainers.recipes import LARGE_SETS, RECIPES
from trainers.resolve import resolve
from trainers.rules.perturbation import scheduled
from trainers.runs.checkpoint import load_checkpoint
from trainers.training import train


def plan(classes, method, **given):
    return resolve(TrainConfig(method=method, data="filelist:x", **given), classes)


@pytest.mark.parametrize(
    ("classes", "method", "expected"),
    [
        (1000, "ce-drw+sam", (90, 256, 0.2, 2e-4, "resnet50")),
        (1000, "ldam-drw+sam", (90, 256, 0.2, 2e-4, "resnet50")),
        (8142, "ce-drw+sam", (90, 256, 0.1, 2e-4, "resnet50")),
        (8142, "ldam-drw+sam", (90, 256, 0.1, 1e-4, "resnet50")),
        (1000, "cc-sam", (90, 256, 0.1, 5e-4, "resnext50")),
        (8142, "cc-sam", (90, 512, 0.2, 1e-4, "resnet50")),
        (365, "cc-sam", (90, 128, 0.05, 5e-4, "resnet152")),
        (365, "plot", (90, 128, 0.05, 5e-4, "resnet152")),
        (8142, "plot", (90, 256, 0.1, 1e-4, "resnet50")),
        (1000, "focal-sam", (200, 256, 0.1, 5e-4, "resnet50")),
        (8142, "focal-sam", (200, 512, 0.2, 2e-4, "resnet50")),
        (1000, "gkp-gsa", (90, 256, 0.1, 5e-4, "resnet50")),
        (8142, "gkp-gsa", (100, 256, 0.2, 1e-4, "resnet50")),
        (1000, "mislas", (180, 256, 0.1, 5e-4, "resnet50")),
        (8142, "mislas", (200, 256, 0.1, 1e-4, "resnet50")),
        (365, "mislas", (90, 256, 0.1, 5e-4, "resnet152")),
        (1000, "la", (90, 256, 0.2, 2e-4, "resnet50")),
        (365, "la", (90, 256, 0.1, 5e-4, "resnet152")),
        (8142, "la+focal-sam", (200, 512, 0.2, 2e-4, "resnet50")),
        (365, "crt-mixup+plot", (90, 128, 0.05, 5e-4, "resnet152")),
        (8142, "bcl", (100, 256, 0.2, 1e-4, "resnet50")),
    ],
)
def test_large_sets_have_the_recipe_of_the_method(classes, method, expected):
    found = plan(classes, method)
    recipe = found.recipe
    assert recipe.schedule == "cosine"
    values = (recipe.epochs, recipe.batch_size, recipe.lr, recipe.weight_decay, found.model)
    assert values == expected


def test_what_the_released_saddle_code_sets_on_large_sets():
    for classes in (1000, 8142):
        found = plan(classes, "ldam-drw+sam")
        rule = found.settings["rule"]
        radii = [
            scheduled(rule["rho"], rule["schedule"], epoch, found.recipe.epochs)
            for epoch in (0, 4, 5, 59, 60, 75, 89)
        ]
        assert radii == pytest.approx([0.05, 0.05, 0.1, 0.1, 0.5, 0.5, 0.5])
        assert found.settings["loss"]["max_margin"] == 0.3
        assert found.reweighting_epoch == 60
    rule = plan(8142, "ce-drw+sam", settings=("schedule=step-inat",)).settings["rule"]
    radii = [scheduled(rule["rho"], "step-inat", epoch, 90) for epoch in (4, 5, 60, 74, 75, 89)]
    assert radii == pytest.approx([0.05, 0.1, 0.1, 0.1, 0.2, 0.2])


def test_colours_of_the_large_sets():
    assert plan(8142, "saddle").normalisation == plan(8142, "focal-sam").normalisation == "inat"
    assert plan(1000, "saddle").normalisation is None
    jitter = {name: plan(8142, name).recipe.jitter for name in ("saddle", "focal-sam", "mislas")}
    assert jitter == {"saddle": True, "focal-sam": False, "mislas": True}
    assert not plan(10, "saddle").recipe.jitter


def test_jitter_changes_the_colours_of_training_images_alone(tmp_path):
    Image.new("RGB", (40, 40), (60, 120, 180)).save(tmp_path / "a.png")
    images = FileImages(tmp_path, ("a.png",), torch.zeros(1, dtype=torch.int64), 16, CPU)
    generator = torch.Generator().manual_seed(0)
    at = torch.zeros(6, dtype=torch.int64)
    for jitter, several in ((False, 1), (True, 6)):
        chosen = with_views(images, 1, jitter=jitter)
        (drawn, _), *_ = chosen.batches(at, 6, generator)
        assert len(drawn.flatten(1).unique(dim=0)) == several
        (plain, _), *_ = chosen.batches(at, 6)
        assert len(plain.flatten(1).unique(dim=0)) == 1


def test_second_stages_of_mislas_have_ten_epochs():
    for classes in LARGE_SETS:
        found = plan(classes, "mislas")
        assert found.epochs - found.recipe.epochs == 10
        assert found.settings["transform"]["alpha"] == 0.2
        assert found.settings["stages"]["statistics"] == "batch"


def test_recipes_name_networks_there_are():
    assert {preset.model for preset in RECIPES.values()} - {None} <= set(MODELS)
    assert plan(1000, "gkp-gsa", model="resnext50").model == "resnext50"
    with pytest.raises(InputError, match="did you mean 'saddle-inat'"):
        plan(10, "ce", recipe="saddle-inat18")


def test_resnet10_is_four_basic_blocks():
    model = build_model("resnet10", 7)
    reference = ResNet(BasicBlock, [1, 1, 1, 1])
    assert sum(p.numel() for p in model.backbone.parameters()) == sum(
        p.numel() for name, p in reference.named_parameters() if not name.startswith("fc.")
    )
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 7)


def write_images(root, listing):
    rng = np.random.default_rng(0)
    for name, label in listing:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 60, (36, 40, 3)) + 60 * label
        Image.fromarray(pixels.astype(np.uint8)).save(path)


def listing_of(form, split, counts):
    """Paths and classes as the official lists give them."""
    return [
        (form.format(split=split, label=label, i=i), label)
        for label, count in enumerate(counts)
        for i in range(count)
    ]


LISTS = {
    "ImageNet_LT": "{split}/n{label:08}/n{label:08}_{i}.JPEG",
    "iNaturalist18": "train_val2018/Aves/{label}/{split}{i:032x}.jpg",
    "Places_LT": "{split}/class{label}/{i:08}.jpg",
}


@pytest.fixture
def lists(tmp_path):
    """A function that writes images and their lists, and returns the options that name them."""

    def write(name, *, as_json=False):
        folder, images = tmp_path / "lists", tmp_path / "images"
        folder.mkdir()
        for split, counts in (("train", (8, 4, 2)), ("val" if "18" in name else "test", (2, 2, 2))):
            listing = listing_of(LISTS[name], split, counts)
            write_images(images, listing)
            if as_json:
                content = {
                    "images": [{"id": i, "file_name": n} for i, (n, _) in enumerate(listing)],
                    "annotations": [
                        {"image_id": i, "category_id": c} for i, (_, c) in enumerate(listing)
                    ],
                    "categories": [{"id": c, "name": str(c)} for c in range(3)],
                }
                (folder / f"{split}2018.json").write_text(json.dumps(content))
            else:
                lines = "".join(f"{path} {label}\n" for path, label in listing)
                (folder / f"{name}_{split}.txt").write_text(lines)
        return f"--data filelist:{folder} --data-root {images}"

    return write


SMALL = "--image-size 16 --epochs 2 --batch-size 7 --device cpu --workers 0 --split count"


@pytest.mark.parametrize(
    ("name", "as_json", "options"),
    [
        ("ImageNet_LT", False, "--method ldam-drw+sam --recipe saddle-imagenet --model resnet10"),
        ("ImageNet_LT", False, "--method la+focal-sam --recipe focal-sam-imagenet --model resnet8"),
        ("iNaturalist18", False, "--method ldam-drw+sam --recipe saddle-inat --model resnet8"),
        ("iNaturalist18", True, "--method bcl+gsa --recipe gkp-gsa-inat --model resnet8"),
        ("Places_LT", False, "--method crt-mixup+plot --recipe plot-places --model resnet8"),
        ("Places_LT", False, "--method ce-mixup-las --recipe mislas-places --model resnet8"),
    ],
)
def test_rehearsal(lists, tmp_path, name, as_json, options):
    """A run through the recipe's code at a small size, then its accuracy on other images."""
    data, run = lists(name, as_json=as_json), tmp_path / "run"
    assert main(f"train {options} {data} {SMALL} --out {run}".split()) == 0
    recipe = json.loads((run / "config.json").read_text())["plan"]["recipe"]
    assert recipe["schedule"] == "cosine"
    given = options.split()
    assert recipe["lr"] == RECIPES[given[given.index("--recipe") + 1]].recipe.lr
    other = tmp_path / "other"
    write_images(other, listing_of("{label}/{i}.png", "", (2, 2, 2)))
    command = f"diagnose {run} --analyses accuracy --device cpu --workers 0"
    assert main(f"{command} --eval other=folder:{other}".split()) == 0
    (path,) = (run / "results" / "accuracy-other").glob("*.h5")
    assert load(path, Accuracy).confusion.sum() == 6


def test_rehearsal_of_clip_on_other_images(lists, tmp_path):
    """ImageNet-LT by LIFT, judged on folders of wnids and of numbers, as -Sketch and -V2 are."""
    pytest.importorskip("transformers")
    data, run = lists("ImageNet_LT"), tmp_path / "run"
    (tmp_path / "lists" / "class_names.txt").write_text("tench\ngoldfish\ngreat white shark\n")
    save_tiny_clip(tmp_path / "clip")
    model = f"--method la+focal-sam --model clip:{tmp_path / 'clip'}"
    assert main(f"train {model} {data} {SMALL} --out {run}".split()) == 0
    for title, form in (("sketch", "n{label:08}/{i}.png"), ("v2", "{label}/{i}.png")):
        write_images(tmp_path / title, listing_of(form, "", (2, 2, 2)))
    command = f"diagnose {run} --analyses accuracy --device cpu --workers 0"
    words = ",".join(f"{title}=folder:{tmp_path / title}" for title in ("sketch", "v2"))
    assert main(f"{command} --eval {words}".split()) == 0
    found = [
        load(run / "results" / f"accuracy-{title}" / "epoch_0002.h5", Accuracy).confusion
        for title in ("sketch", "v2")
    ]
    assert (found[0] == found[1]).all()
    assert found[0].sum(axis=1).tolist() == [2, 2, 2]


def test_training_starts_from_the_weights_of_a_file(lists, tmp_path):
    torch.manual_seed(1)
    reference = ResNet(BasicBlock, [1, 1, 1, 1])
    weights = tmp_path / "imagenet.pth"
    torch.save(
        {"state_dict": {f"module.{n}": v for n, v in reference.state_dict().items()}}, weights
    )
    words = lists("Places_LT").split()
    given = {
        "method": "ce",
        "data": words[1],
        "data_root": Path(words[3]),
        "image_size": 16,
        "epochs": 1,
        "batch_size": 7,
        "workers": 0,
        "device": "cpu",
        "recipe": "cc-sam-places",
        "pretrained": weights,
    }
    config = TrainConfig(**given, model="resnet10", out=tmp_path / "run")
    train(config)
    stored = load_checkpoint(tmp_path / "run" / "checkpoints" / "epoch_0000.pt")["model"]
    for name, value in reference.state_dict().items():
        assert name.startswith("fc.") or torch.equal(stored[f"backbone.{name}"], value)
    weights.unlink()
    train(config)  # a run that is over needs them no more
    with pytest.raises(InputError, match=r"imagenet\.pth"):
        train(TrainConfig(**given, model="resnet10", out=tmp_path / "other"))
    with pytest.raises(InputError, match=r"holds another run: pretrained is .*asked for None"):
        train(replace(config, pretrained=None))
    with pytest.raises(InputError, match="--pretrained is for networks of torchvision"):
        train(TrainConfig(**given, model="resnet8", out=tmp_path / "third"))


@pytest.mark.slow
def test_rehearsal_of_the_networks_of_the_recipes(lists, tmp_path):
    data = lists("Places_LT")
    for name in ("plot-places", "saddle-inat", "cc-sam-imagenet"):
        run = tmp_path / name
        command = f"train --method ce --recipe {name} {data} {SMALL} --epochs 1 --out {run}"
        assert main(command.split()) == 0
        assert json.loads((run / "config.json").read_text())["plan"]["model"] == RECIPES[name].model
