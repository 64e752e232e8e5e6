"""Accuracy on other images: what --eval names, reads and writes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cli.main import main
from cli.units.evaluation import Evaluation, read_evaluations
from landscape.errors import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.corruption import ALEXNET
from landscape.results.load import load
from trainers.data.catalogue import LongTailedData
from trainers.data.evaluation import open_evaluation
from trainers.data.images import ArrayImages, FileImages

NAMES = ("cat", "dog")


def tree(root, names=NAMES, count=4, side=8, shift=0):
    """Dark images of the first class and bright ones of the second, ``shift`` classes on."""
    random = np.random.default_rng(0)
    for c, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for k in range(count):
            level = 40 + 160 * ((c + shift) % 2)
            pixels = random.integers(level, level + 40, (side, side, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{k}.png")
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    tree(folder / "data" / "train", count=16)
    tree(folder / "data" / "test")
    arguments = f"train --data folder:{folder / 'data'} --model resnet8 --epochs 4 --device cpu"
    given = f"{arguments} --batch-size 8 --lr 0.01 --recipe digits --out {folder / 'run'}"
    assert main(given.split()) == 0
    return folder / "run"


def diagnose(run, words):
    return main(
        f"diagnose {run} --analyses accuracy --device cpu --workers 0 --eval {words}".split()
    )


def accuracy(run, name):
    (path,) = (run / "results" / name).glob("*.h5")
    return load(path, Accuracy)


def test_each_set_of_images_has_a_file_of_its_own(run, tmp_path, capsys):
    same, swapped = tree(tmp_path / "same"), tree(tmp_path / "swapped", shift=1)
    other = tree(tmp_path / "other", names=("unicorn",))
    words = f"same=folder:{same},swapped=folder:{swapped},unknown=open:{other}"
    assert diagnose(run, words) == 0
    plain = accuracy(run, "accuracy")
    assert np.isnan(plain.open_set).all()
    assert plain.group[0] == 1
    assert accuracy(run, "accuracy-same").confusion.tolist() == [[4, 0], [0, 4]]
    assert accuracy(run, "accuracy-swapped").confusion.tolist() == [[0, 4], [4, 0]]
    unknown = accuracy(run, "accuracy-unknown")
    assert unknown.open_set.tolist() == [8, 0, 0, 4]  # two classes: no softmax is below a tenth
    assert unknown.f_measure == pytest.approx(16 / (16 + 4))
    shown = capsys.readouterr().out
    assert "on swapped: overall 0 %" in shown
    assert "on unknown" in shown
    assert "F-measure" in shown
    figure = f"figure accuracy {run} --options on=swapped --out {tmp_path / 'figures'}"
    assert main(figure.split()) == 0
    assert "| ce | 0.0 |" in (tmp_path / "figures" / "accuracy.md").read_text()
    assert main(f"figure accuracy {run} --options on=nowhere".split()) == 2
    assert "--eval nowhere=folder:PATH" in capsys.readouterr().err.replace("\n", "")


def test_imagenet_c_is_a_mean_over_corruptions(run, tmp_path, capsys):
    for name in ALEXNET:
        for level in range(1, 6):
            tree(tmp_path / name / str(level), count=1, shift=int(name == "fog"))
    assert diagnose(run, f"c=imagenet-c:{tmp_path}") == 0
    assert accuracy(run, "accuracy-c-fog-3").group[0] == 0
    expected = 100 / ALEXNET["fog"] / 15
    assert f"mCE {expected:.4g} % of AlexNet's" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("sketch", "is not of the form"),
        ("a/b=folder:x", "is not of the form"),
        ("a=folder:x,a=open:y", "names 'a' twice"),
        ("a=folder:nowhere", "there is no folder 'nowhere'"),
    ],
)
def test_what_cannot_be_judged_is_a_sentence(run, words, sentence, capsys):
    assert diagnose(run, words) == 2
    assert sentence in capsys.readouterr().err.replace("\n", " ")


def test_other_classes_are_refused(run, tmp_path, capsys):
    assert diagnose(run, f"x=folder:{tree(tmp_path / 'x', names=('cat', 'eel'))}") == 2
    assert "which is no class of the network" in capsys.readouterr().err.replace("\n", " ")


def test_it_is_for_accuracy_alone(run, capsys):
    assert main(f"diagnose {run} --analyses features --eval a=folder:b".split()) == 2
    assert "--eval is for the analysis accuracy" in capsys.readouterr().err


def test_names_of_parts():
    parts = read_evaluations(["c=imagenet-c:/d"])[0].parts()
    assert len(parts) == 75
    assert parts[0] == Evaluation("c-gaussian_noise-1", "folder", parts[0].path)
    with pytest.raises(InputError, match="twice"):
        read_evaluations(["c=imagenet-c:/d", "c-fog-1=folder:/e"])


def lazy(root, names, side):
    files = tuple(f"{name}/0.png" for name in names)
    return FileImages(root, files, torch.arange(len(names)), side, torch.device("cpu"))


def test_classes_without_names_are_taken_in_order(tmp_path):
    """Lists of ImageNet-LT number the classes; the folders are wnids, or numbers."""
    tree(tmp_path / "train", side=16, count=1)
    data = LongTailedData(
        *[lazy(tmp_path / "train", NAMES, 8)] * 2, class_names=("0", "1"), class_counts=(5, 1)
    )
    wnids = tree(tmp_path / "wnids", names=("n01440764", "n01443537"), count=2)
    found = open_evaluation(wnids, data, torch.device("cpu"))
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert isinstance(found, FileImages)
    assert not found.margin  # of the network's size already
    numbers = tree(tmp_path / "numbers", names=("1",), count=2, side=16)
    found = open_evaluation(numbers, data, torch.device("cpu"))
    assert found.labels.tolist() == [1, 1]
    assert found.margin


def test_images_of_the_networks_size_are_not_resized(tmp_path):
    data = LongTailedData(
        *[lazy(tree(tmp_path / "train"), NAMES, 8)] * 2, class_names=NAMES, class_counts=(5, 1)
    )
    found = open_evaluation(tree(tmp_path / "same"), data, torch.device("cpu"))
    inputs, _ = next(found.batches(torch.tensor([0]), 1))
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in found.scaling)
    with Image.open(tmp_path / "same" / "cat" / "0.png") as image:
        expected = torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255
    assert torch.allclose(inputs[0] * std + mean, expected, atol=1e-5)


WNIDS = tuple(f"n{1440764 + 1000 * c:08}" for c in range(12))
NUMBERS = tuple(map(str, range(12)))


@pytest.fixture(scope="module")
def other_trees(tmp_path_factory):
    """Trees of twelve classes, of which class c is as bright as c, under several names."""
    folder = tmp_path_factory.mktemp("trees")
    for title, names in (
        ("sketch", WNIDS),
        ("v2", NUMBERS),
        ("some", WNIDS[3:5]),
        ("padded", tuple(f"c{c:02}" for c in range(12))),
        ("unpadded", tuple(f"c{c}" for c in range(12))),
    ):
        for name in names:
            level = 10 * (WNIDS.index(name) if name in WNIDS else int(name.strip("c")))
            (folder / title / name).mkdir(parents=True)
            Image.new("RGB", (8, 8), (level,) * 3).save(folder / title / name / "0.png")
    return folder


def listed(folders, class_names):
    """The data of file lists of twelve classes, whose files lie in folders of these names."""
    files = tuple(f"train/{name}/0.JPEG" for name in folders)
    images = FileImages(Path(), files, torch.arange(12), 8, torch.device("cpu"), margin=False)
    pixels = torch.zeros(12, 3, 8, 8, dtype=torch.uint8)
    test = ArrayImages(pixels, torch.arange(12), (0.0,) * 3, (1 / 255,) * 3)
    return LongTailedData(images, test, class_names, (1,) * 12)


@pytest.mark.parametrize("class_names", [NUMBERS, tuple(f"name {c}" for c in range(12))])
@pytest.mark.parametrize(
    ("tree", "folders", "seen"),
    [
        ("sketch", WNIDS, 12),
        ("some", WNIDS, 2),
        ("v2", WNIDS, 12),
        ("v2", ("all",) * 12, 12),
        ("padded", WNIDS, 12),
    ],
)
def test_folders_are_read_as_the_classes_they_are(other_trees, class_names, tree, folders, seen):
    """Wnids by the training images' folders; numbers by value, although 10 sorts before 2."""
    data = listed(folders, class_names)
    if tree == "padded" and class_names != NUMBERS:  # nothing says which class a name is
        with pytest.raises(InputError, match="has a folder 'c00', which is no class"):
            open_evaluation(other_trees / tree, data, torch.device("cpu"))
        return
    images = open_evaluation(other_trees / tree, data, torch.device("cpu"))
    assert len(images.labels) == seen
    for inputs, labels in images.batches(torch.arange(seen), 1):
        assert round(float(inputs.mean()) / 10) == int(labels)


def test_an_order_that_is_not_that_of_the_numbers_is_refused(other_trees):
    with pytest.raises(InputError, match="has a folder 'c0', which is no class of the network"):
        open_evaluation(other_trees / "unpadded", listed(WNIDS, NUMBERS), torch.device("cpu"))
