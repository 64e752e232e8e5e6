"""Stand in for data sets of known sizes whose files are absent, to resolve and time a run."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torchvision import datasets

from trainers.data.augment import CropFlip
from trainers.data.catalogue import DATA_ROOT, LongTailedData
from trainers.data.images import ArrayImages
from trainers.data.longtail import ImbalanceType, longtail_counts
from trainers.data.statistics import CIFAR_STATISTICS

_SIDE = 32
_SIZES = {  # classes; images of each, for training and for testing
    "cifar10": (datasets.CIFAR10, 10, 5000, 1000),
    "cifar100": (datasets.CIFAR100, 100, 500, 100),
}


def is_absent(data: str, root: Path | None) -> bool:
    """Tell whether a data set is of known sizes, and its files are not there."""
    return data in _SIZES and not ((root or DATA_ROOT) / _SIZES[data][0].base_folder).is_dir()


def stand_in(
    data: str, device: torch.device, *, imbalance: float, imbalance_type: ImbalanceType = "exp"
) -> LongTailedData:
    """Build black images, as many as a data set's classes have.

    Args:
        data: ``cifar10`` or ``cifar100``.
        device: where batches are put.
        imbalance: largest class over smallest.
        imbalance_type: exponential or step.

    Raises:
        InputError: the imbalance is below 1, or leaves a class without an image.
    """
    _, classes, training, testing = _SIZES[data]
    counts = longtail_counts([training] * classes, imbalance, imbalance_type)
    train, test = (_black(each, device) for each in (counts, [testing] * classes))
    return LongTailedData(train, test, tuple(map(str, range(classes))), counts)


def _black(counts: Sequence[int], device: torch.device) -> ArrayImages:
    """Build images that share their pixels in memory."""
    one = torch.zeros(1, 3, _SIDE, _SIDE, dtype=torch.uint8, device=device)
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    augmentation = CropFlip(padding=4, flip=True)
    pixels = one.expand(len(labels), -1, -1, -1)
    return ArrayImages(pixels, labels, *CIFAR_STATISTICS, augmentation=augmentation)
