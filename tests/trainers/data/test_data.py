"""Sources read what people have, augmentation does what it says."""

import hashlib
import pickle
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from landscape.errors import InputError
from trainers.data.augment import CropFlip
from trainers.data.catalogue import open_data
from trainers.data.images import FileImages
from trainers.data.statistics import STATISTICS

CPU = torch.device("cpu")


def write_image(path, value, side=16):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((side, side, 3), value, np.uint8)).save(path)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for split, count in (("train", 8), ("test", 3)):
        for label, name in enumerate(("ant", "bee", "cat")):
            for i in range(count):
                write_image(tmp_path / "tree" / split / name / f"{i}.png", 10 * label + i)
    return tmp_path / "tree"


def test_digits():
    data = open_data("digits", CPU, imbalance=20)
    assert data.class_counts == (120, 86, 61, 44, 31, 22, 16, 11, 8, 6)
    assert torch.bincount(data.test.labels).tolist() == [54] * 10
    assert data.channels == 1
    train = {bytes(p) for p in data.train.pixels.flatten(1).numpy()}
    test = {bytes(p) for p in data.test.pixels.flatten(1).numpy()}
    assert not train & test, "a test image is in the training set"


def test_folder_reads_a_tree_and_caches_it(tree, tmp_path):
    data = open_data(f"folder:{tree}", CPU, imbalance=4)
    assert data.class_names == ("ant", "bee", "cat")
    assert data.class_counts == (8, 4, 2)
    cached = sorted((tmp_path / "cache" / "tailscape").iterdir())
    assert len(cached) == 2
    stamps = [c.stat().st_mtime_ns for c in cached]
    again = open_data(f"folder:{tree}", CPU, imbalance=4)
    assert [c.stat().st_mtime_ns for c in cached] == stamps
    assert again.train.fingerprint() == data.train.fingerprint()
    values = data.test.pixels.flatten(1).float()
    assert values.std(dim=1).max() == 0
    assert values[:, 0].tolist() == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    (inputs, _), *_ = data.test.batches(torch.arange(1), 1)
    assert inputs[0, 0, 0, 0] == pytest.approx(-0.4914 / 0.2023)


def test_a_changed_tree_is_decoded_anew(tree):
    before = open_data(f"folder:{tree}", CPU, imbalance=1).train.fingerprint()
    write_image(tree / "train" / "ant" / "0.png", 200)
    assert open_data(f"folder:{tree}", CPU, imbalance=1).train.fingerprint() != before


def test_folder_of_mixed_sizes_asks_for_a_size(tree):
    write_image(tree / "train" / "ant" / "0.png", 5, side=20)
    with pytest.raises(InputError, match="give --image-size"):
        open_data(f"folder:{tree}", CPU, imbalance=1)
    assert open_data(f"folder:{tree}", CPU, imbalance=1, image_size=12).train.pixels.shape[-1] == 12


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("most", [4 * 2**30, 100])
def test_each_image_is_compared_in_size(tree, monkeypatch, split, most):
    """Where the images that come first are alike, and a cache of resized ones is there."""
    monkeypatch.setattr("trainers.data.folder.MOST_BYTES", most)
    odd = sorted((tree / split / "cat").iterdir())[-1]
    Image.fromarray(np.zeros((40, 30, 3), np.uint8)).save(odd)
    for size in (16, None):
        with (
            nullcontext()
            if size
            else pytest.raises(
                InputError, match=f"{odd.name}' is 30x40 and others are 16x16; give --image-size"
            )
        ):
            data = open_data(f"folder:{tree}", CPU, imbalance=1, image_size=size)
            for images in (data.train, data.test):
                list(images.batches(torch.arange(len(images.labels)), 4))


def test_images_that_are_not_square_ask_for_a_size(tree):
    for path in (tree / "train" / "ant").iterdir():
        Image.fromarray(np.zeros((40, 30, 3), np.uint8)).save(path)
    with pytest.raises(InputError, match="is 30x40; give --image-size"):
        open_data(f"folder:{tree}", CPU, imbalance=1)


@pytest.mark.parametrize("given", [{"image_size": 0}, {"image_size": -3}, {"workers": -1}])
def test_sizes_and_workers_out_of_range(tree, given):
    flag = f"--{next(iter(given)).replace('_', '-')} is {next(iter(given.values()))}"
    with pytest.raises(InputError, match=flag):
        open_data(f"folder:{tree}", CPU, imbalance=1, **given)


def test_a_large_tree_is_read_lazily(tree, monkeypatch):
    monkeypatch.setattr("trainers.data.folder.MOST_BYTES", 100)
    data = open_data(f"folder:{tree}", CPU, imbalance=1)
    assert isinstance(data.train, FileImages)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda t: (t / "train").rename(t / "training"), "has no folder 'train'"),
        (
            lambda t: [f.unlink() for f in (t / "train" / "bee").iterdir()],
            "class 'bee' has no images",
        ),
        (lambda t: (t / "test" / "cat").rename(t / "test" / "dog"), "class 'cat' has no folder"),
        (lambda t: (t / "train" / "ant" / "3.png").write_bytes(b"no"), "cannot read image"),
    ],
    ids=["no split", "empty class", "missing class", "damaged image"],
)
def test_bad_trees(tree, spoil, sentence):
    spoil(tree)
    with pytest.raises(InputError, match=sentence):
        open_data(f"folder:{tree}", CPU, imbalance=1)


def test_lazy_images_are_the_same_with_and_without_workers(tmp_path):
    rng = np.random.default_rng(0)
    names = tuple(f"{i}.png" for i in range(5))
    for name in names:
        Image.fromarray(rng.integers(0, 255, (40, 50, 3), np.uint8)).save(tmp_path / name)
    state = torch.get_rng_state()
    batches = []
    for workers in (0, 2):
        images = FileImages(tmp_path, names, torch.arange(5), 24, CPU, workers)
        generator = torch.Generator().manual_seed(3)
        batches.append(torch.cat([x for x, _ in images.batches(torch.arange(5), 2, generator)]))
    assert torch.equal(*batches)
    plain = FileImages(tmp_path, names, torch.arange(5), 24, CPU)
    assert not torch.equal(next(iter(plain.batches(torch.arange(5), 5)))[0], batches[0])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_lazy_image_is_one_sentence(tmp_path, workers):
    (tmp_path / "0.png").write_bytes(b"no image")
    images = FileImages(tmp_path, ("0.png",), torch.zeros(1, dtype=torch.long), 24, CPU, workers)
    with pytest.raises(InputError, match=r"^cannot read image '.*0.png' .*remove or replace it$"):
        next(images.batches(torch.arange(1), 1))


def test_official_cifar_files(tmp_path, monkeypatch):
    """The real reader on small files of the official layout."""
    folder = tmp_path / datasets.CIFAR10.base_folder
    folder.mkdir()

    def batch(name, count):
        pixels = np.random.default_rng(0).integers(0, 255, (count, 3072), np.uint8)
        content = pickle.dumps({"data": pixels, "labels": [i % 10 for i in range(count)]})
        (folder / name).write_bytes(content)
        return [name, hashlib.md5(content).hexdigest()]

    monkeypatch.setattr(datasets.CIFAR10, "train_list", [batch("data_batch_1", 40)])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [batch("test_batch", 20)])
    meta = pickle.dumps({"label_names": [f"name{c}" for c in range(10)]})
    (folder / "batches.meta").write_bytes(meta)
    described = {
        "filename": "batches.meta",
        "key": "label_names",
        "md5": hashlib.md5(meta).hexdigest(),
    }
    monkeypatch.setattr(datasets.CIFAR10, "meta", described)
    data = open_data("cifar10", CPU, imbalance=2, root=tmp_path)
    assert data.class_counts == (4, 3, 3, 3, 2, 2, 2, 2, 2, 2)
    assert data.class_names[3] == "name3"
    assert data.test.pixels.shape == (20, 3, 32, 32)
    assert (data.train.mean, data.train.std) == STATISTICS["cifar10"]
    options = {"imbalance": 2, "root": tmp_path, "normalisation": "cifar100"}
    other = open_data("cifar10", CPU, **options, subset_seed=42)
    for images in (other.train, other.test):
        assert images.mean == (0.5071, 0.4867, 0.4408)
        assert images.std == (0.2675, 0.2565, 0.2761)
    random, kept = np.random.RandomState(42), []
    for c, count in enumerate(data.class_counts):
        members = np.arange(c, 40, 10)
        random.shuffle(members)
        kept += members[:count].tolist()
    pixels = np.random.default_rng(0).integers(0, 255, (40, 3072), np.uint8).reshape(40, 3, 32, 32)
    assert np.array_equal(other.train.pixels.numpy(), pixels[kept])
    assert other.subset_sha256 == hashlib.sha256(np.array(kept, "<i8").tobytes()).hexdigest()
    assert data.subset_sha256 != other.subset_sha256


def test_colour_statistics_of_grey_images_are_refused():
    with pytest.raises(InputError, match="--normalisation cifar10 is of colour images"):
        open_data("digits", CPU, imbalance=1, normalisation="cifar10")


def test_missing_cifar_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"--data-root.*--download"):
        open_data("cifar10", CPU, imbalance=100, root=tmp_path)


def test_crop_and_flip_are_shifts_of_the_padded_image():
    images = torch.arange(2 * 25, dtype=torch.uint8).reshape(2, 1, 5, 5) + 1
    augment = CropFlip(padding=1, flip=True)
    seen = set()
    padded = torch.nn.functional.pad(images, [1] * 4)
    windows = {}
    for dy in range(3):
        for dx in range(3):
            window = padded[:, :, dy : dy + 5, dx : dx + 5]
            windows |= {bytes(window[0].numpy()): (dy, dx, 0)}
            windows |= {bytes(window[0].flip(-1).contiguous().numpy()): (dy, dx, 1)}
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        seen.add(windows[bytes(augment(images, generator)[0].numpy())])
    assert len(seen) == 18
    a = augment(images, torch.Generator().manual_seed(5))
    assert torch.equal(a, augment(images, torch.Generator().manual_seed(5)))
