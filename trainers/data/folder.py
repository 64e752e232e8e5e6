"""A tree of images, ``train/<class>/*`` and ``test/<class>/*``; classes in alphabetical order.

Images of one size that fit in memory are decoded once into an array cache (in the user's cache
folder, named by a hash of the listing, so that a changed tree is decoded anew); larger trees are
read lazily.
"""

import hashlib
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from landscape.errors import DataWarning, InputError
from landscape.results.atomic import atomic_write
from trainers.data.augment import CropFlip
from trainers.data.image_file import read_image
from trainers.data.images import ArrayImages, FileImages, Images
from trainers.data.statistics import CIFAR_STATISTICS, IMAGENET_STATISTICS, Statistics

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff"}
MOST_BYTES = 4 * 2**30


@dataclass(frozen=True)
class _Size:
    side: int  # of the square images, in pixels
    exact: bool  # whether each file has to be of it, or is brought to it


def open_folder(
    root: Path, device: torch.device, *, image_size: int | None = None, workers: int = 0
) -> tuple[Images, Images, tuple[str, ...]]:
    """Load the training pool, the test set and the class names.

    Args:
        root: folder with ``train`` and ``test`` (or ``val``).
        device: where batches are put.
        image_size: side in pixels to which images are resized; default: their own, if all alike.
        workers: decoding processes of a tree that is read lazily.

    Raises:
        InputError: a folder or its images are missing, or sizes differ and no size is given.
    """
    train_root = _existing(root, "train")
    test_root = _existing(root, "test", "val")
    names = _class_names(train_root)
    train, test = _listing(train_root, names), _listing(test_root, names)
    surplus = sorted(set(_class_names(test_root)) - set(names))
    if surplus:
        _warn(f"'{test_root}' has classes that training lacks, left out: {_listed(surplus)}")
    size = _size(train[0], image_size)
    if _too_large(len(train[0]) + len(test[0]), size):
        return _lazy(train, size, device, workers), _lazy(test, size, device, workers), names
    return _array(train, size, device), _array(test, size, device), names


def open_classes(
    root: Path,
    device: torch.device,
    *,
    image_size: int | None = None,
    workers: int = 0,
    lazy: bool = False,
) -> tuple[Images, tuple[str, ...]]:
    """Load one tree ``<class>/*`` and its class names.

    Args:
        root: folder of the class folders.
        device: where batches are put.
        image_size: side in pixels to which images are resized; default: their own, if all alike.
        workers: decoding processes of a tree that is read lazily.
        lazy: read a tree lazily that would fit in memory.

    Raises:
        InputError: a folder or its images are missing, or sizes differ and no size is given.
    """
    names = _class_names(root)
    listing = _listing(root, names)
    size = _size(listing[0], image_size)
    if lazy or _too_large(len(listing[0]), size):
        return _lazy(listing, size, device, workers), names
    return _array(listing, size, device), names


def _class_names(root: Path) -> tuple[str, ...]:
    found = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    names = tuple(name for name in found if not _is_hidden(name))
    if not names:
        raise InputError(f"'{root}' has no class folders; expected one folder of images a class")
    hidden = [name for name in found if _is_hidden(name)]
    if hidden:
        _warn(f"folders in '{root}' that are taken for no class: {_listed(hidden)}")
    return names


def _is_hidden(name: str) -> bool:
    """Tell what other programs leave behind, such as ``.ipynb_checkpoints`` and ``._0.png``."""
    return name.startswith(".") or name == "__MACOSX"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(f"'{name}'" for name in names[:3]) + more


def _warn(sentence: str) -> None:
    warnings.warn(sentence, DataWarning, stacklevel=4)


def _too_large(count: int, size: _Size) -> bool:
    return count * 3 * size.side**2 > MOST_BYTES


def _existing(root: Path, *names: str) -> Path:
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise InputError(f"'{root}' has no folder '{names[0]}'; expected {names[0]}/<class>/<images>")


def _listing(root: Path, names: tuple[str, ...]) -> tuple[list[Path], torch.Tensor]:
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        if not (root / name).is_dir():
            raise InputError(
                f"class '{name}' has no folder in '{root}'; add it or remove the class"
            )
        found = _images(root / name)
        paths += found
        labels += [label] * len(found)
    return paths, torch.tensor(labels)


def _images(folder: Path) -> list[Path]:
    """List the images of a class; say what else is there and looks like some."""
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    shown = [Path(entry.path) for entry in entries if not _is_hidden(entry.name)]
    found = [path for path in shown if path.suffix.lower() in SUFFIXES and path.is_file()]
    deeper = [path.name for path in shown if path.is_dir() and _holds_images(path)]
    others = sorted({path.suffix.lower() for path in shown if path.is_file()} - SUFFIXES)
    if not found:
        held = "sub-folders " if deeper else "files ending in "
        raise InputError(
            f"class '{folder.name}' has no images in '{folder.parent}'; "
            + (f"it holds {held}{_listed(deeper or others)}, and " if deeper or others else "")
            + f"images lie in the class folder itself and end in {', '.join(sorted(SUFFIXES))}"
        )
    if deeper:
        _warn(f"images in sub-folders of '{folder}' are not read: {_listed(deeper)}")
    return found


def _holds_images(folder: Path) -> bool:
    return any(path.suffix.lower() in SUFFIXES for path in folder.iterdir())


def _size(paths: list[Path], asked: int | None) -> _Size:
    """Return the configured size, or the size of the first image, which all have to share."""
    if asked is not None:
        return _Size(asked, exact=False)
    width, height = read_image(paths[0]).size
    if width != height:
        raise InputError(
            f"images are not of one square size: '{paths[0]}' is {width}x{height}; give "
            "--image-size"
        )
    return _Size(width, exact=True)


def _statistics(side: int) -> Statistics:
    return CIFAR_STATISTICS if side <= 64 else IMAGENET_STATISTICS


def _lazy(
    listing: tuple[list[Path], torch.Tensor], size: _Size, device: torch.device, workers: int
) -> FileImages:
    root = listing[0][0].parents[2]
    names = tuple(str(path.relative_to(root)) for path in listing[0])
    statistics = _statistics(size.side)
    return FileImages(
        root, names, listing[1], size.side, device, workers, *statistics, exact=size.exact
    )


def _array(
    listing: tuple[list[Path], torch.Tensor], size: _Size, device: torch.device
) -> ArrayImages:
    paths, labels = listing
    cache = _cache_folder() / f"{_listing_hash(paths, size)}.npy"
    if not cache.is_file():
        with ThreadPoolExecutor() as pool:
            decoded = np.stack(list(pool.map(lambda path: _decode(path, size), paths)))
        _keep(decoded, cache)
    else:
        decoded = np.load(cache)
    pixels = torch.from_numpy(decoded).permute(0, 3, 1, 2).contiguous()
    return ArrayImages(
        pixels.to(device),
        labels,
        *_statistics(size.side),
        augmentation=CropFlip(padding=size.side // 8, flip=True),
    )


def _decode(path: Path, size: _Size) -> np.ndarray:
    if size.exact:
        return np.asarray(read_image(path, size.side))
    return np.asarray(read_image(path).resize((size.side, size.side)))


def _keep(decoded: np.ndarray, cache: Path) -> None:
    """Keep the decoded images for the next time, where that is possible."""
    try:
        atomic_write(cache, lambda file: np.save(file, decoded))
    except InputError as error:
        _warn(
            f"the decoded images are not kept for the next time: {error}. The folder of such files "
            "is that of the environment variable XDG_CACHE_HOME"
        )


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tailscape"


def _listing_hash(paths: list[Path], size: _Size) -> str:
    digest = hashlib.sha256(f"{size}".encode())
    for path in paths:
        stat = path.stat()
        digest.update(f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]
