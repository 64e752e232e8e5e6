"""Data by name: a function that returns datasets, a tree of images, or a source of ours."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset
from torchvision.datasets import ImageFolder

from cli.sources.external_config import OutsideConfig
from cli.sources.import_name import failed, is_name, named
from landscape.errors import InputError
from landscape.subject.data import DatasetData, LabelledData, class_names_of, dataset_data
from trainers.data.catalogue import SOURCES, open_data, source_of
from trainers.data.folder import open_classes


@dataclass(frozen=True)
class Opened:
    """Labelled data and what is known of their classes."""

    train: LabelledData
    test: LabelledData | None
    class_names: tuple[str, ...]  # empty where the data name none

    @property
    def classes(self) -> int:
        """Number of classes K."""
        return len(self.class_names) or int(self.train.labels.max()) + 1

    def fingerprint(self) -> str:
        """SHA-256 of what the training samples are."""
        found: str = self.train.fingerprint()  # type: ignore[attr-defined]
        return found


def open_outside(
    config: OutsideConfig, device: torch.device, root: Path | None, workers: int
) -> Opened:
    """Open the data of a model of one's own.

    Args:
        config: names data and transform.
        device: where batches are put.
        root: folder of a source's files.
        workers: decoding processes of images read lazily.

    Raises:
        InputError: what is missing or does not fit, and what to do.
    """
    data = str(config.data)
    kind, _, rest = data.partition(":")
    if kind not in SOURCES and is_name(data):
        _refuse_ignored(config, (), ", which is a function")
        return _from_function(data, device)
    source_of(data)
    if kind == "folder":
        path = Path(rest)
        if not path.is_dir():
            raise InputError(f"--data {data}: there is no folder '{path}'")
        if config.transform is not None:
            _refuse_ignored(config, ("transform",), " with --transform, which takes it as it is")
            return _transformed(path, config.transform, device, workers)
        if not (path / "train").is_dir():
            _refuse_ignored(config, ("image_size",), ", which has no folder 'train' to cut")
            images, names = open_classes(
                path, device, image_size=config.image_size, workers=workers
            )
            return Opened(images, None, names)
    sized = ("image_size",) if kind in {"folder", "filelist"} else ()
    _refuse_ignored(config, ("imbalance", *sized), ", which has its own")
    found = open_data(
        data,
        device,
        imbalance=config.imbalance,
        root=root,
        image_size=config.image_size,
        workers=workers,
    )
    return Opened(found.train, found.test, found.class_names)


def _refuse_ignored(config: OutsideConfig, taken: tuple[str, ...], why: str) -> None:
    """Refuse options that were given and that these data do not take."""
    for name in ("imbalance", "image_size", "transform"):
        if name not in taken and getattr(config, name) != getattr(OutsideConfig, name):
            option = name.replace("_", "-")
            raise InputError(f"--{option} is not for {config.data}{why}; leave --{option} out")


def _from_function(name: str, device: torch.device) -> Opened:
    found: Any = named("data", name)
    if inspect.isclass(found) or (callable(found) and not hasattr(found, "__getitem__")):
        try:
            found = found()
        except Exception as error:  # anything may go wrong in a user's function
            raise failed("data", name, error) from error
    train, test = _pair(found)
    names = class_names_of(train)
    labelled = dataset_data(train, device)
    return Opened(labelled, None if test is None else dataset_data(test, device), names)


def _pair(found: Any) -> tuple[Any, Any]:
    """Tell (train, test) from one dataset and from a pair of tensors or arrays."""
    if isinstance(found, Mapping):
        if "train" not in found:
            raise InputError(f"the data hold {', '.join(map(str, found))}; expected 'train'")
        return found["train"], found.get("test", found.get("val"))
    if isinstance(found, Sequence) and len(found) == 2 and not hasattr(found, "targets"):
        if all(isinstance(part, (Tensor, np.ndarray)) for part in found):
            return TensorDataset(*map(torch.as_tensor, found)), None
        return found[0], found[1]
    return found, None


def _transformed(path: Path, transform: str, device: torch.device, workers: int) -> Opened:
    found: Any = named("transform", transform)
    if isinstance(found, type) or (inspect.isfunction(found) and not _parameters(found)):
        found = found()
    if not (path / "train").is_dir():
        train, names = _tree(path, found, device, workers)
        return Opened(train, None, names)
    train, names = _tree(path / "train", found, device, workers)
    judged = next((path / name for name in ("test", "val") if (path / name).is_dir()), None)
    if judged is None:
        return Opened(train, None, names)
    test, others = _tree(judged, found, device, workers)
    if others != names:
        raise InputError(f"'{judged}' has other classes than '{path / 'train'}'")
    return Opened(train, test, names)


def _tree(
    path: Path, transform: Any, device: torch.device, workers: int
) -> tuple[DatasetData, tuple[str, ...]]:
    try:
        dataset = ImageFolder(str(path), transform)
    except FileNotFoundError as error:
        raise InputError(f"'{path}' is no tree <class>/<images> ({error})") from error
    return dataset_data(dataset, device, workers), tuple(dataset.classes)


def _parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)
