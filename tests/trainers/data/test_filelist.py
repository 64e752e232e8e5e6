"""File lists: what they say, and every kind of training on them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from landscape.errors import InputError
from tests.trainers.data.test_data import CPU, write_image
from trainers.config import TrainConfig
from trainers.data.catalogue import open_data
from trainers.data.images import IMAGENET_STATISTICS, with_views
from trainers.training import train


def test_text_lists(tmp_path):
    for i in range(6):
        write_image(tmp_path / "images" / f"{i}.jpg", 40 * i, side=40)
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "ImageNet_LT_train.txt").write_text("0.jpg 0\n1.jpg 0\n2.jpg 1\n")
    (lists / "ImageNet_LT_test.txt").write_text("3.jpg 0\n4.jpg 1\n5.jpg 2\n")
    with pytest.raises(InputError, match="class 2 has no samples"):
        open_data(f"filelist:{lists}", CPU, imbalance=1, root=tmp_path / "images", image_size=32)
    (lists / "ImageNet_LT_test.txt").write_text("3.jpg 0\n4.jpg 1\n")
    data = open_data(f"filelist:{lists}", CPU, imbalance=1, root=tmp_path / "images", image_size=32)
    assert data.class_counts == (2, 1)
    (inputs, labels), *_ = data.test.batches(torch.tensor([1, 0]), 8)
    assert inputs.shape == (2, 3, 32, 32)
    assert labels.tolist() == [1, 0]


@pytest.fixture
def lists(tmp_path):
    """File lists of 24 + 12 + 6 training images and 4 a class to test, of sizes of their own."""
    rng = np.random.default_rng(0)
    for split, counts in (("train", (24, 12, 6)), ("test", (4, 4, 4))):
        lines = []
        for label, count in enumerate(counts):
            for i in range(count):
                name = f"{split}-{label}-{i}.png"
                pixels = rng.integers(0, 80, (34 + i % 3, 40, 3), np.uint8) + 60 * label
                Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name)
                lines.append(f"{name} {label}\n")
        (tmp_path / f"{split}.txt").write_text("".join(lines))
    return tmp_path


def test_decoded_images_yield_three_views(lists):
    data = open_data(f"filelist:{lists}", CPU, imbalance=1, image_size=24)
    images, at = with_views(data.train, 3), torch.tensor([0, 41, 3])
    generator = torch.Generator().manual_seed(3)
    (inputs, labels), *_ = images.batches(at, 3, generator)
    assert inputs.shape == (9, 3, 24, 24)
    assert labels.tolist() == [0, 2, 0]
    assert len(inputs.flatten(1).unique(dim=0)) == 9
    black = torch.tensor(IMAGENET_STATISTICS[0]) / torch.tensor(IMAGENET_STATISTICS[1])
    holes = (inputs + black.view(-1, 1, 1)).abs().amax(dim=1).flatten(1) < 1e-6
    assert torch.all(holes[:3].sum(dim=1) >= 36)  # a hole of 12 pixels a side, of 6 in a corner
    assert inputs[[1, 4, 7]].mean() > inputs[[0, 3, 6]].mean()  # class 2 is brighter
    (again, _), *_ = replace(images, workers=2).batches(at, 3, generator.manual_seed(3))
    assert torch.equal(again, inputs)
    (plain, _), *_ = images.batches(at, 3)
    assert plain.shape == (3, 3, 24, 24)


@pytest.mark.parametrize("method", ["bcl", "bcl+gkp+gsa", "bcl-mixup"])
def test_contrastive_training_on_file_lists(lists, tmp_path, method):
    config = TrainConfig(
        method=method,
        data=f"filelist:{lists}",
        model="resnet8",
        image_size=16,
        workers=0,
        epochs=5,
        batch_size=16,
        lr=0.02,
        device="cpu",
        out=tmp_path / "run",
        settings=("refresh=0.3", "group_count=2") if "gkp" in method else (),
    )
    metrics = train(config).folder.metrics()
    assert [entry["epoch"] for entry in metrics] == [1, 2, 3, 4, 5]
    losses = [entry["train_loss"] for entry in metrics]
    assert min(losses[1:]) < losses[0]


def test_names_beside_text_lists(lists):
    (lists / "class_names.txt").write_text("tench\ngreat white shark\n\nhen\n")
    data = open_data(f"filelist:{lists}", CPU, imbalance=1, image_size=24)
    assert data.class_names == ("tench", "great white shark", "hen")
    for content, sentence in (("a\nb\n", "2 different names in 2"), ("a\na\nb\n", "2 .* in 3")):
        (lists / "class_names.txt").write_text(content)
        with pytest.raises(InputError, match=f"{sentence} lines, and the lists have 3 classes"):
            open_data(f"filelist:{lists}", CPU, imbalance=1, image_size=24)


def test_inaturalist_json(tmp_path):
    for i in range(4):
        write_image(tmp_path / f"{i}.jpg", 60 * i, side=40)
    content = {
        "images": [{"id": 10 + i, "file_name": f"{i}.jpg"} for i in range(4)],
        "annotations": [{"image_id": 10 + i, "category_id": i % 2} for i in range(4)],
        "categories": [{"id": 0, "name": "Apis"}, {"id": 1, "name": "Bombus"}],
    }
    (tmp_path / "train2018.json").write_text(json.dumps(content))
    (tmp_path / "val2018.json").write_text(json.dumps(content))
    data = open_data(f"filelist:{tmp_path}", CPU, imbalance=1, image_size=32)
    assert data.class_names == ("Apis", "Bombus")
    assert data.train.labels.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a.jpg zero\n", "line 1 of .* is 'a.jpg zero'"),
        ("", "lists no image"),
        ("a.jpg 0\n", "1 of 1 listed images are missing"),
        ("a.jpg 0\nb.jpg -1\n", r"gives 'b\.jpg' the class -1; classes are numbered from 0"),
    ],
)
def test_bad_lists(tmp_path, content, sentence):
    for split in ("train", "test"):
        (tmp_path / f"{split}.txt").write_text(content)
    with pytest.raises(InputError, match=sentence):
        open_data(f"filelist:{tmp_path}", CPU, imbalance=1)
