"""scikit-learn's bundled handwritten digits: 1,797 grey images of 8 x 8, ten classes.

Split once into a balanced pool of 120 training images a class and a balanced test set of 54 a
class (the smallest class has 174), so that the long tail is made by the project's own formula.
"""

import numpy as np
import torch
from sklearn.datasets import load_digits

from trainers.data.augment import CropFlip
from trainers.data.images import ArrayImages

TRAIN_PER_CLASS, TEST_PER_CLASS = 120, 54


def open_digits(device: torch.device) -> tuple[ArrayImages, ArrayImages, tuple[str, ...]]:
    """Load the balanced training pool, the test set and the class names."""
    bundle = load_digits()
    pixels = (bundle.images * 15).astype(np.uint8)[:, None]
    labels = bundle.target.astype(np.int64)
    random = np.random.RandomState(0)
    order = [random.permutation(np.flatnonzero(labels == c)) for c in range(10)]
    train = np.concatenate([members[:TRAIN_PER_CLASS] for members in order])
    stop = TRAIN_PER_CLASS + TEST_PER_CLASS
    test = np.concatenate([members[TRAIN_PER_CLASS:stop] for members in order])
    scaled = pixels[train] / 255
    statistics = (float(scaled.mean()),), (float(scaled.std()),)

    def images(at: np.ndarray) -> ArrayImages:
        return ArrayImages(
            torch.from_numpy(pixels[at]).to(device),
            torch.from_numpy(labels[at]),
            *statistics,
            augmentation=CropFlip(padding=1, flip=False),
        )

    return images(train), images(test), tuple(str(c) for c in range(10))
