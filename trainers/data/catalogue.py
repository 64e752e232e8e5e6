"""The table of data sources, and the one way to open them. The table imports no tensors."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from landscape.errors import InputError, unknown
from landscape.groups import SplitName, scope_classes
from trainers.data.longtail import ImbalanceType, longtail_counts, longtail_indices
from trainers.data.statistics import Normalisation

if TYPE_CHECKING:
    import torch

    from trainers.data.images import Images


DATA_ROOT = Path("data")  # of official files, unless another folder is given


@dataclass(frozen=True)
class DataSource:
    """Describe a data source and its defaults."""

    summary: str
    imbalance: float  # default; 1 takes the data as they are
    model: str
    recipe: str


SOURCES = {
    "digits": DataSource(
        "scikit-learn's bundled handwritten digits, 8x8 grey, 120 a class", 20, "resnet8", "digits"
    ),
    "cifar10": DataSource("CIFAR-10, the official files (--data-root)", 100, "resnet32", "a"),
    "cifar100": DataSource("CIFAR-100, the official files (--data-root)", 100, "resnet32", "a"),
    "folder": DataSource("folder:PATH, a tree train/<class>/*, test/<class>/*", 1, "resnet32", "a"),
    "filelist": DataSource(
        "filelist:PATH, lists of ImageNet-LT, Places-LT, iNaturalist 2018", 1, "resnet50", "a"
    ),
}


def source_of(data: str) -> DataSource:
    """Look up a ``--data`` value.

    Raises:
        InputError: the name is unknown, or a path is missing behind ``folder:`` or ``filelist:``.
    """
    name, _, path = data.partition(":")
    if name not in SOURCES:
        raise unknown("data", name, SOURCES)
    if name in {"folder", "filelist"} and not path:
        raise InputError(f"--data {name} needs a path: --data {name}:PATH")
    return SOURCES[name]


@dataclass(frozen=True)
class LongTailedData:
    """Hold a long-tailed training set, its balanced test set, and the class names."""

    train: "Images"
    test: "Images"
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]  # training samples of each class
    subset_sha256: str = ""  # of the pool's indices that are kept, little-endian int64, in order

    @property
    def channels(self) -> int:
        """Return the number of input channels."""
        inputs, _ = next(iter(self.test.batches(self.test.labels[:1] * 0, 1)))
        return int(inputs.shape[1])


def only_classes(
    data: LongTailedData, scopes: tuple[str, ...], split: SplitName | None
) -> LongTailedData:
    """Restrict the training set to some scopes; test set and class counts stay.

    Args:
        data: the long-tailed data.
        scopes: such as ``tail`` or ``class/3``; none keeps all.
        split: that defines the groups.

    Raises:
        InputError: a scope is not known.
    """
    if not scopes:
        return data
    import torch

    found = scope_classes(scopes, data.class_counts, split)
    kept = torch.tensor(sorted({c for classes in found.values() for c in classes}))
    indices = torch.isin(data.train.labels, kept).nonzero().flatten()
    return replace(data, train=data.train.subset(indices))


def open_data(
    data: str,
    device: "torch.device",
    *,
    imbalance: float,
    imbalance_type: ImbalanceType = "exp",
    subset_seed: int = 0,
    normalisation: Normalisation | None = None,
    root: Path | None = None,
    download: bool = False,
    image_size: int | None = None,
    workers: int = 0,
) -> LongTailedData:
    """Open a source and cut its training pool to a long tail.

    Args:
        data: ``digits``, ``cifar10``, ``cifar100``, ``folder:PATH`` or ``filelist:PATH``.
        device: where batches are put.
        imbalance: largest class over smallest; 1 keeps the pool.
        imbalance_type: exponential or step.
        subset_seed: of the shuffles by which samples are kept.
        normalisation: of the pixels; their own by default.
        root: folder of the official files, or of the images of a file list.
        download: fetch official files when missing.
        image_size: side of the inputs in pixels, where files have other sizes.
        workers: decoding processes of lazily read images.

    Raises:
        InputError: what is missing or does not fit, and what to do.
    """
    import torch

    from trainers.data.images import class_counts, normalised

    if image_size is not None and image_size < 1:
        raise InputError(f"--image-size is {image_size}; a side has at least 1 pixel")
    if workers < 0:
        raise InputError(f"--workers is {workers}; give 0 to decode in this process, or more")
    train, test, names = _open(data, device, root, download, image_size, workers)
    pool = class_counts(train.labels, len(names))
    counts = longtail_counts(pool, imbalance, imbalance_type)
    kept = longtail_indices(train.labels.numpy(), counts, subset_seed)
    digest = hashlib.sha256(kept.astype("<i8").tobytes()).hexdigest()
    train, test = (normalised(images, normalisation) for images in (train, test))
    return LongTailedData(train.subset(torch.from_numpy(kept)), test, names, counts, digest)


def _open(
    data: str,
    device: "torch.device",
    root: Path | None,
    download: bool,
    image_size: int | None,
    workers: int,
) -> tuple["Images", "Images", tuple[str, ...]]:
    source_of(data)
    name, _, path = data.partition(":")
    if name == "digits":
        from trainers.data.digits import open_digits

        return open_digits(device)
    if name == "folder":
        from trainers.data.folder import open_folder

        return open_folder(Path(path).expanduser(), device, image_size=image_size, workers=workers)
    if name == "filelist":
        from trainers.data.filelist import open_filelist

        lists = Path(path).expanduser()
        return open_filelist(lists, root, device, image_size=image_size, workers=workers)
    from trainers.data.cifar import open_cifar

    return open_cifar(name, root or DATA_ROOT, device, download=download)
