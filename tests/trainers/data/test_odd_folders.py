"""Image folders and file lists as people have them: odd depths, hidden files, missing images."""

import json
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from landscape.errors import DataWarning, InputError
from tests.trainers.data.test_data import CPU
from trainers.data.filelist import open_filelist
from trainers.data.folder import open_folder
from trainers.data.image_file import read_image


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def gradient(dtype, scale):
    return (np.arange(256, dtype=np.int64).reshape(16, 16) * scale).astype(dtype)


def make_tree(root, image, suffix=".png", classes="ab"):
    for split in ("train", "test"):
        for name in classes:
            (root / split / name).mkdir(parents=True)
            for i in range(3):
                image.save(root / split / name / f"{i}{suffix}")
    return root


@pytest.mark.parametrize(
    ("values", "suffix"),
    [
        (gradient("u1", 1), ".png"),
        (gradient("u2", 257), ".png"),
        (gradient("u2", 257), ".tif"),
        (gradient("i4", 257), ".tif"),
    ],
)
def test_grey_levels_of_8_and_16_bits_are_scaled_by_their_range(values, suffix, tmp_path):
    path = tmp_path / f"x{suffix}"
    Image.fromarray(values).save(path)
    found = np.asarray(read_image(path))
    assert (found == gradient("u1", 1)[..., None]).all()


@pytest.mark.parametrize("values", [gradient("f4", 1 / 255), gradient("i4", 70_000)])
def test_values_without_a_stated_range_are_refused(values, tmp_path):
    path = tmp_path / "x.tif"
    Image.fromarray(values).save(path)
    with pytest.raises(InputError, match="nothing says which of them is white; save the images"):
        read_image(path)


def test_a_folder_of_16_bit_images_keeps_its_levels(tmp_path):
    make_tree(tmp_path, Image.fromarray(gradient("u2", 257)))
    train, _, _ = open_folder(tmp_path, CPU)
    assert len(train.pixels.unique()) == 256


@pytest.mark.parametrize("hidden", [".ipynb_checkpoints", "__MACOSX", ".git"])
def test_folders_that_other_programs_leave_are_no_classes(hidden, tmp_path):
    make_tree(tmp_path, Image.new("RGB", (16, 16)))
    (tmp_path / "train" / hidden).mkdir()
    with pytest.warns(DataWarning, match=f"taken for no class: '{hidden}'"):
        train, _, names = open_folder(tmp_path, CPU)
    assert names == ("a", "b")
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_hidden_files_are_no_images(tmp_path):
    make_tree(tmp_path, Image.new("RGB", (16, 16)))
    (tmp_path / "train/a/._0.png").write_bytes(b"\0\5\x16\7Mac OS X")
    train, _, _ = open_folder(tmp_path, CPU)
    assert len(train.labels) == 6


def test_other_suffixes_are_named_beside_those_that_count(tmp_path):
    make_tree(tmp_path, Image.new("RGB", (16, 16)), ".gif")
    with pytest.raises(InputError, match=r"files ending in '.gif', .* end in .bmp, .jpeg"):
        open_folder(tmp_path, CPU)


def test_images_in_sub_folders_of_a_class_are_told_of(tmp_path):
    make_tree(tmp_path, Image.new("RGB", (16, 16)))
    (tmp_path / "train/a/more").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "train/a/more/9.png")
    with pytest.warns(DataWarning, match=r"images in sub-folders of .*train/a' are not read"):
        train, _, _ = open_folder(tmp_path, CPU)
    assert len(train.labels) == 6
    for path in (tmp_path / "train/a").glob("*.png"):
        path.unlink()
    with pytest.raises(InputError, match="it holds sub-folders 'more'"):
        open_folder(tmp_path, CPU)


def test_classes_of_the_test_set_alone_are_told_of(tmp_path):
    make_tree(tmp_path, Image.new("RGB", (16, 16)))
    (tmp_path / "test/zebra").mkdir()
    with pytest.warns(DataWarning, match="classes that training lacks, left out: 'zebra'"):
        _, test, _ = open_folder(tmp_path, CPU)
    assert len(test.labels) == 6


def test_an_ordinary_tree_says_nothing(tmp_path):
    make_tree(tmp_path, Image.new("RGB", (16, 16)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_folder(tmp_path, CPU)


def test_a_cache_that_cannot_be_written_costs_only_the_next_start(tmp_path, monkeypatch):
    make_tree(tmp_path, Image.new("RGB", (16, 16), (255, 0, 0)))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(DataWarning, match="environment variable XDG_CACHE_HOME"):
        train, _, _ = open_folder(tmp_path, CPU)
    assert train.pixels[0, :, 0, 0].tolist() == [255, 0, 0]


@pytest.fixture
def images(tmp_path):
    (tmp_path / "images").mkdir()
    for i in range(8):
        Image.new("RGB", (16, 16)).save(tmp_path / f"images/{i}.jpg")
    return tmp_path / "images"


def write_lists(folder, train, encoding="utf-8", end="\n"):
    folder.mkdir(exist_ok=True)
    for name, lines in (
        ("x_train.txt", train),
        ("x_test.txt", [f"{i}.jpg {i % 2}" for i in (6, 7)]),
    ):
        (folder / name).write_bytes((end.join(lines) + end).encode(encoding))
    return folder


GOOD = [f"{i}.jpg {i % 2}" for i in range(6)]


@pytest.mark.parametrize(("encoding", "end"), [("utf-8-sig", "\n"), ("utf-8", "\r\n")])
def test_lists_of_other_editors_are_read(encoding, end, images, tmp_path):
    lists = write_lists(tmp_path / "lists", GOOD, encoding, end)
    train, test, _ = open_filelist(lists, images, CPU)
    assert train.names == tuple(f"{i}.jpg" for i in range(6))
    assert test.labels.tolist() == [0, 1]


def test_a_list_itself_names_its_folder(images, tmp_path):
    lists = write_lists(tmp_path / "lists", GOOD)
    train, test, _ = open_filelist(lists / "x_train.txt", images, CPU)
    assert (len(train.labels), len(test.labels)) == (6, 2)


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            [*GOOD[:3], "97.jpg 0", "98.jpg 1", *GOOD[3:]],
            "2 of 8 listed images are missing .* '97.jpg'",
        ),
        ([*GOOD[:2], "3.jpg,1"], "line 3 of .*x_train.txt' is '3.jpg,1'; expected the path"),
        ([*GOOD[:2], "3.jpg one"], "line 3 of .* is '3.jpg one'"),
        ([*GOOD, "", "4"], "line 8 of .* is '4'"),
    ],
)
def test_a_list_is_read_whole_before_anything_else(lines, sentence, images, tmp_path):
    with pytest.raises(InputError, match=sentence):
        open_filelist(write_lists(tmp_path / "lists", lines), images, CPU)


def test_labels_that_begin_at_one_are_told_of(images, tmp_path):
    lists = write_lists(tmp_path / "lists", [f"{i}.jpg {1 + i % 2}" for i in range(6)])
    (lists / "x_test.txt").write_text("6.jpg 1\n7.jpg 2\n")
    with pytest.raises(InputError, match="begin at 1; they are numbered from 0: subtract 1"):
        open_filelist(lists, images, CPU)
    (lists / "x_test.txt").write_text("6.jpg 0\n7.jpg 1\n")
    said = "the training labels in .* begin at 1, those of the test set at 0; .* subtract 1 from"
    with pytest.raises(InputError, match=said):
        open_filelist(lists, images, CPU)


def test_val_stands_for_a_test_list_without_labels(images, tmp_path):
    """The published lists of iNaturalist 2018."""
    listed = [{"id": i, "file_name": f"{i}.jpg"} for i in range(8)]
    labels = [{"id": i, "image_id": i, "category_id": i % 2} for i in range(8)]
    for name in ("train2018", "val2018"):
        content = {"images": listed, "annotations": labels}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "test2018.json").write_text(json.dumps({"images": listed}))
    _, test, _ = open_filelist(tmp_path, images, CPU)
    assert torch.equal(test.labels, torch.arange(8) % 2)
    (tmp_path / "val2018.json").write_text("[1, 2]")
    with pytest.raises(InputError, match="has no 'images'"):
        open_filelist(tmp_path, images, CPU)
