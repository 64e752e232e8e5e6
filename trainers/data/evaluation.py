"""Other images on which a trained network is judged: a tree ``<class>/*`` of its classes or others.

Images are brought to the size and the normalisation of the run's test set; those that have its size
already are not resized, as the images of ImageNet-C are not.
"""

import re
from dataclasses import replace
from pathlib import Path

import torch

from landscape.errors import InputError
from trainers.data.catalogue import LongTailedData
from trainers.data.folder import open_classes
from trainers.data.image_file import read_image
from trainers.data.images import ArrayImages, FileImages, Images


def open_evaluation(
    root: Path, data: LongTailedData, device: torch.device, *, known: bool = True, workers: int = 0
) -> Images:
    """Open a tree of images for a network that was trained on some data.

    Args:
        root: folder of the class folders.
        data: of the training, which give size, normalisation and class names.
        device: where batches are put.
        known: whether the folders are classes of the network; otherwise they are of unknown ones.
        workers: decoding processes of a tree that is read lazily.

    Raises:
        InputError: the tree is missing, has other classes, or colours where the network has none.
    """
    if not root.is_dir():
        raise InputError(f"--eval: there is no folder '{root}'; give one of class folders")
    if data.channels != 3:
        raise InputError(
            f"--eval reads colour images, and the network takes {data.channels} channel; judge it "
            "on data of its own"
        )
    images, names = open_classes(
        root,
        device,
        image_size=_side(data.test),
        workers=workers,
        lazy=isinstance(data.test, FileImages),
    )
    assert isinstance(images, ArrayImages | FileImages)
    mean, std = data.test.scaling
    images = replace(images, mean=mean, std=std)
    if isinstance(images, FileImages):
        first = read_image(images.root / images.names[0])
        images = replace(images, margin=first.size != (images.size, images.size))
    if not known:
        return images
    return replace(images, labels=_places(names, data, root)[images.labels])


def _side(images: Images) -> int:
    inputs, _ = next(iter(images.batches(torch.zeros(1, dtype=torch.int64), 1)))
    return int(inputs.shape[-1])


def _places(names: tuple[str, ...], data: LongTailedData, root: Path) -> torch.Tensor:
    """Return the class of each folder.

    By the classes' names; by the folders of the training images, as ImageNet-Sketch has them; by
    number, as ImageNet-V2 has them, whose 10 sorts before 2; or in order, where classes have none.
    """
    classes = data.class_names
    numbers = {str(c): c for c in range(len(classes))}
    for known in ({name: c for c, name in enumerate(classes)}, _folders(data.train), numbers):
        if set(names) <= set(known):
            return torch.tensor([known[name] for name in names])
    if list(numbers) == list(classes) and len(names) == len(classes) and _in_order(names):
        return torch.arange(len(classes))
    other = next(name for name in names if name not in classes)
    raise InputError(
        f"'{root}' has a folder '{other}', which is no class of the network ({classes[0]}, …); "
        "name the folders as the training data's or by the classes' numbers from 0, or, where "
        "those are lists without names, give one folder a class, whose names sort in the classes' "
        "order"
    )


def _folders(images: Images) -> dict[str, int]:
    """Return the folders that hold training images of one class alone, by their last names."""
    found: dict[str, set[int]] = {}
    if isinstance(images, FileImages):
        for name, label in zip(images.names, images.labels.tolist(), strict=True):
            found.setdefault(Path(name).parent.name, set()).add(label)
    return {name: labels.pop() for name, labels in found.items() if len(labels) == 1}


def _in_order(names: tuple[str, ...]) -> bool:
    """Tell whether sorted names are in the order of the numbers in them, too."""

    def by_number(name: str) -> list[tuple[str, int]]:
        return [(text, int(n or 0)) for text, n in re.findall(r"([^0-9]*)([0-9]*)", name)]

    return sorted(names, key=by_number) == sorted(names)
