"""Labelled images: held in memory as uint8, or read lazily from files.

Both kinds yield normalised float batches on the device, un-augmented unless a generator is given,
and are what a diagnosis reads as its labelled data.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from landscape.device import available_cores
from landscape.errors import InputError
from trainers.data.augment import CropFlip
from trainers.data.image_file import read_image
from trainers.data.statistics import IMAGENET_STATISTICS, STATISTICS, Normalisation
from trainers.data.views import AugmentedViews, decoded_views

if TYPE_CHECKING:  # imported late: that takes more than a second, and digits need none of it
    from torchvision.transforms import v2

Batch = tuple[Tensor, Tensor]
Augmentation = Callable[[Tensor, torch.Generator], Tensor]


class Images(Protocol):
    """Yield batches of labelled images."""

    @property
    def labels(self) -> Tensor:
        """Return the class of each sample, (N,) int64, on the CPU."""
        ...

    @property
    def scaling(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and standard deviation by which pixels in [0, 1] are normalised."""
        ...

    def batches(
        self, indices: Tensor, batch_size: int, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """Yield normalised inputs and labels on the device; augmented when given a generator."""
        ...

    def subset(self, indices: Tensor) -> "Images":
        """Keep only the given samples."""
        ...

    def fingerprint(self) -> str:
        """Return the SHA-256 of the samples."""
        ...


@dataclass(frozen=True)
class ArrayImages:
    """Hold images in memory, uint8 on the device.

    Args:
        pixels: (N, C, H, W) uint8.
        labels: (N,) int64, CPU.
        mean: per channel, of pixels in [0, 1].
        std: per channel, likewise.
        augmentation: applied to uint8 batches in training.
    """

    pixels: Tensor
    labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: Augmentation | None = None

    def batches(
        self, indices: Tensor, batch_size: int, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """Yield normalised inputs and labels on the device."""
        device = self.pixels.device
        mean = torch.tensor(self.mean, device=device).view(-1, 1, 1) * 255
        std = torch.tensor(self.std, device=device).view(-1, 1, 1) * 255
        labels = self.labels.to(device)
        for part in indices.to(device).split(batch_size):
            pixels = self.pixels[part]
            if generator is not None and self.augmentation is not None:
                pixels = self.augmentation(pixels, generator)
            yield (pixels - mean) / std, labels[part]

    @property
    def scaling(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and standard deviation of each channel."""
        return self.mean, self.std

    def subset(self, indices: Tensor) -> "ArrayImages":
        """Keep only the given samples."""
        return replace(
            self,
            pixels=self.pixels[indices.to(self.pixels.device)],
            labels=self.labels[indices],
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 of pixels and labels."""
        digest = hashlib.sha256(self.pixels.cpu().numpy().tobytes())
        digest.update(self.labels.numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class FileImages:
    """Decode images from files, batch by batch, in worker processes.

    Training images are cropped at random to ``size`` and flipped, others resized to 8/7 of it and
    cropped at the centre (He et al. 2016).

    Args:
        root: folder of the files.
        names: N files, relative to it.
        labels: (N,) int64, CPU.
        size: side of the square inputs, in pixels.
        device: where batches are put.
        workers: decoding processes; 0 decodes in this one.
        mean: per channel, of pixels in [0, 1].
        std: per channel, likewise.
        exact: whether each file has to be of that size.
        views: augmented views of a training image.
        strong: whether a single view is augmented as the first of several is.
        margin: whether images that are not augmented are resized to more than they are cropped to.
        jitter: whether a single plain view has its brightness, contrast and saturation changed.
    """

    root: Path
    names: tuple[str, ...]
    labels: Tensor
    size: int
    device: torch.device
    workers: int = 0
    mean: tuple[float, ...] = IMAGENET_STATISTICS[0]
    std: tuple[float, ...] = IMAGENET_STATISTICS[1]
    exact: bool = False
    views: Literal[1, 2, 3] = 1
    strong: bool = False
    margin: bool = True
    jitter: bool = False

    def batches(
        self, indices: Tensor, batch_size: int, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """Yield normalised inputs (V B, 3, S, S), view by view, and labels (B,) on the device."""
        seed = None
        if generator is not None:
            seed = int(
                torch.randint(2**31, (), generator=generator, device=generator.device).item()
            )
        dataset = _Decoded(self, indices, seed)
        loader = DataLoader(
            dataset,
            batch_size,
            num_workers=min(self.workers, available_cores()),
            generator=torch.Generator(),  # torch's own is the user's
        )
        mean = torch.tensor(self.mean, device=self.device).view(-1, 1, 1) * 255
        std = torch.tensor(self.std, device=self.device).view(-1, 1, 1) * 255
        try:
            for pixels, labels in loader:
                by_view = pixels.to(self.device).transpose(0, 1).flatten(0, 1)
                yield (by_view - mean) / std, labels.to(self.device)
        except InputError as error:
            # a worker's error arrives with its whole traceback as its text
            sentence = str(error).strip().splitlines()[-1].rpartition("InputError: ")[2]
            raise InputError(sentence) from None

    @property
    def scaling(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and standard deviation of each channel."""
        return self.mean, self.std

    def subset(self, indices: Tensor) -> "FileImages":
        """Keep only the given samples."""
        names = tuple(self.names[i] for i in indices.tolist())
        return replace(self, names=names, labels=self.labels[indices])

    def fingerprint(self) -> str:
        """Return the SHA-256 of file names and labels; the files are not read."""
        digest = hashlib.sha256("\n".join(self.names).encode())
        digest.update(self.labels.numpy().tobytes())
        return digest.hexdigest()


def normalised(images: Images, name: Normalisation | None) -> Images:
    """Normalise colour images by named statistics; by their own where there is no name.

    Raises:
        InputError: the images are grey.
    """
    if name is None:
        return images
    assert isinstance(images, (ArrayImages, FileImages))
    mean, std = STATISTICS[name]
    if len(images.mean) != len(mean):
        raise InputError(
            f"--normalisation {name} is of colour images, and these are grey; leave it out"
        )
    return replace(images, mean=mean, std=std)


def with_views(
    images: Images, views: Literal[1, 2, 3], *, strong: bool = False, jitter: bool = False
) -> Images:
    """Give training images the augmentation of a recipe, or of losses that compare views.

    Args:
        images: training set, in memory or read from files.
        views: 1 keeps their own augmentation; V yields (V B, C, H, W), view by view.
        strong: augment a single view by AutoAugment and Cutout.
        jitter: change the colours of images read from files, where they have a single plain view.
    """
    if isinstance(images, FileImages):
        return replace(images, views=views, strong=strong, jitter=jitter)
    if views == 1 and not strong:
        return images
    assert isinstance(images, ArrayImages)
    flip = isinstance(images.augmentation, CropFlip) and images.augmentation.flip
    return replace(images, augmentation=AugmentedViews(flip, views - 1))


@dataclass(frozen=True)
class Redrawn:
    """Augment training images anew at every reading, as some released analyses do.

    Args:
        images: with an augmentation of their own.
        generator: on the images' device.
    """

    images: Images
    generator: torch.Generator

    @property
    def labels(self) -> Tensor:
        """Return the class of each sample (N,)."""
        return self.images.labels

    def batches(self, indices: Tensor, batch_size: int) -> Iterator[Batch]:
        """Yield newly augmented inputs and labels."""
        return self.images.batches(indices, batch_size, self.generator)


class _Decoded(Dataset[tuple[Tensor, int]]):
    """Decode one file at a time, with randomness from the seed and the sample's position only."""

    def __init__(self, images: FileImages, indices: Tensor, seed: int | None) -> None:
        self._images, self._indices, self._seed = images, indices.tolist(), seed
        self._views = _views_of(images, augmented=seed is not None)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        """Return a sample's views (V, 3, S, S) and its class."""
        from torchvision.transforms.v2.functional import pil_to_tensor

        index = self._indices[position]
        path = self._images.root / self._images.names[index]
        image = read_image(path, self._images.size if self._images.exact else None)
        pixels = pil_to_tensor(image)
        with torch.random.fork_rng(devices=[]):
            if self._seed is not None:
                # torch.manual_seed would seed the GPUs as well, and those are not restored
                torch.default_generator.manual_seed(self._seed + position)
            views = torch.stack([view(pixels) for view in self._views])
        return views, int(self._images.labels[index])


def _views_of(images: FileImages, *, augmented: bool) -> "tuple[v2.Transform, ...]":
    from torchvision.transforms import v2

    size = images.size
    if not augmented:
        resized = v2.Resize(round(size * 8 / 7) if images.margin else size, antialias=True)
        return (v2.Compose([resized, v2.CenterCrop(size)]),)
    if images.views > 1 or images.strong:
        return decoded_views(size)[: images.views]
    steps = [v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip()]
    if images.jitter:
        steps.append(v2.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4))
    return (v2.Compose(steps),)


def class_counts(labels: Tensor, classes: int) -> tuple[int, ...]:
    """Count the samples of each class (K,)."""
    return tuple(np.bincount(labels.numpy(), minlength=classes).tolist())
