"""CIFAR-10 and CIFAR-100 from the official files, through torchvision."""

from pathlib import Path

import torch
from torchvision import datasets

from landscape.errors import InputError
from trainers.data.augment import CropFlip
from trainers.data.images import ArrayImages
from trainers.data.statistics import CIFAR_STATISTICS


def open_cifar(
    name: str, root: Path, device: torch.device, *, download: bool = False
) -> tuple[ArrayImages, ArrayImages, tuple[str, ...]]:
    """Load the training pool, the test set and the class names.

    Args:
        name: ``cifar10`` or ``cifar100``.
        root: folder of the official files, as torchvision lays them out.
        device: where the pixels live.
        download: fetch the files when they are not there.

    Raises:
        InputError: the files are missing or damaged.
    """
    dataset = datasets.CIFAR10 if name == "cifar10" else datasets.CIFAR100
    try:
        train = dataset(root, train=True, download=download)
        test = dataset(root, train=False)
    except (RuntimeError, OSError) as error:
        raise InputError(
            f"no whole copy of {name} in '{root}' ({error}); give its folder with --data-root, or "
            "fetch it with --download"
        ) from error

    def images(split: datasets.CIFAR10) -> ArrayImages:
        pixels = torch.from_numpy(split.data).permute(0, 3, 1, 2).contiguous()
        return ArrayImages(
            pixels.to(device),
            torch.tensor(split.targets),
            *CIFAR_STATISTICS,
            augmentation=CropFlip(padding=4, flip=True),
        )

    return images(train), images(test), tuple(train.classes)
