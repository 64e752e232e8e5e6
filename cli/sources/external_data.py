"""Data of an external model: a function that returns datasets, an image tree, or a known source."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from cli.sources.external_config import ExternalConfig
from cli.sources.external_model import build_model
from cli.sources.import_name import import_object, is_import_name, user_code_error
from landscape.errors import InputError
from landscape.subject.data import DatasetData, LabelledData, dataset_data
from landscape.subject.items import class_names_of
from trainers.data.catalogue import SOURCES, open_data, source_of
from trainers.data.folder import open_classes


@dataclass(frozen=True)
class ExternalData:
    """Labelled data of an external model, and the names of their classes."""

    train: LabelledData
    test: LabelledData | None
    class_names: tuple[str, ...]  # empty if the data name none

    @property
    def classes(self) -> int:
        """Count the classes K."""
        return len(self.class_names) or int(self.train.labels.max()) + 1

    def fingerprint(self) -> str:
        """Compute the SHA-256 of the training samples."""
        found: str = self.train.fingerprint()  # type: ignore[attr-defined]
        return found


def open_external_data(
    config: ExternalConfig, device: torch.device, root: Path | None, workers: int
) -> ExternalData:
    """Open the data of an external model.

    Args:
        config: with the names of data and transform.
        device: where batches are placed.
        root: folder of a source's files.
        workers: decoding processes of images read lazily.

    Raises:
        InputError: data are missing, or an option does not apply to them.
    """
    data = str(config.data)
    kind, _, rest = data.partition(":")
    if kind not in SOURCES and is_import_name(data):
        _check_options_used(config, (), ", which is a function")
        return _from_function(config, device)
    source_of(data)
    if kind == "folder":
        path = Path(rest).expanduser()
        if not path.is_dir():
            raise InputError(f"--data {data}: there is no folder '{path}'")
        if config.transform is not None or not (path / "train").is_dir():
            return _from_tree(config, path, device, workers)
    sized = ("image_size",) if kind in {"folder", "filelist"} else ()
    _check_options_used(config, ("imbalance", *sized), ", which has its own")
    found = open_data(
        data,
        device,
        imbalance=config.imbalance,
        root=root,
        image_size=config.image_size,
        workers=workers,
    )
    return ExternalData(found.train, found.test, found.class_names)


def _check_options_used(config: ExternalConfig, taken: tuple[str, ...], why: str) -> None:
    """Check that every given option applies to these data."""
    for name in ("imbalance", "image_size", "transform"):
        if name not in taken and getattr(config, name) != getattr(ExternalConfig, name):
            option = name.replace("_", "-")
            raise InputError(f"--{option} is not for {config.data}{why}; omit --{option}")


def _from_tree(
    config: ExternalConfig, path: Path, device: torch.device, workers: int
) -> ExternalData:
    """Open images that are read with a transform, or that have no training part."""
    if config.transform is not None:
        _check_options_used(config, ("transform",), " with --transform, which reads it unchanged")
        return _transformed(path, config.transform, device, workers)
    why = ", which has no folder 'train' to subsample"
    _check_options_used(config, ("image_size",), why)
    images, names = open_classes(path, device, image_size=config.image_size, workers=workers)
    return ExternalData(images, None, names)


def _from_function(config: ExternalConfig, device: torch.device) -> ExternalData:
    name = str(config.data)
    found: Any = import_object("data", name)
    if inspect.isclass(found) or (callable(found) and not hasattr(found, "__getitem__")):
        try:
            found = found()
        except Exception as error:  # anything may go wrong in a user's function
            raise user_code_error("data", name, error) from error
    train, test = _pair(found)
    names = class_names_of(train)
    opened = partial(dataset_data, device=device, model=partial(_any_model, config))
    return ExternalData(opened(train), None if test is None else opened(test), names)


def _any_model(config: ExternalConfig) -> nn.Module:
    """Build the model for its signature, before the number of classes is known."""
    with torch.random.fork_rng(devices=[]):
        return build_model(str(config.model), config.model_arguments, num_classes=2)


def _pair(found: Any) -> tuple[Any, Any]:
    """Distinguish (train, test) from one dataset and from a pair of tensors or arrays."""
    if isinstance(found, Mapping):
        if "train" not in found:
            raise InputError(f"the data hold {', '.join(map(str, found))}; expected 'train'")
        return found["train"], found.get("test", found.get("val"))
    if isinstance(found, Sequence) and len(found) == 2 and not hasattr(found, "targets"):
        if all(isinstance(part, (Tensor, np.ndarray)) for part in found):
            return TensorDataset(*map(torch.as_tensor, found)), None
        return found[0], found[1]
    return found, None


def _transformed(path: Path, transform: str, device: torch.device, workers: int) -> ExternalData:
    found: Any = import_object("transform", transform)
    if isinstance(found, type) or (
        inspect.isfunction(found) and not inspect.signature(found).parameters
    ):
        found = found()
    if not (path / "train").is_dir():
        train, names = _tree(path, found, device, workers)
        return ExternalData(train, None, names)
    train, names = _tree(path / "train", found, device, workers)
    held_out = next((path / name for name in ("test", "val") if (path / name).is_dir()), None)
    if held_out is None:
        return ExternalData(train, None, names)
    test, test_names = _tree(held_out, found, device, workers)
    if test_names != names:
        raise InputError(f"'{held_out}' has other classes than '{path / 'train'}'")
    return ExternalData(train, test, names)


def _tree(
    path: Path, transform: Any, device: torch.device, workers: int
) -> tuple[DatasetData, tuple[str, ...]]:
    from torchvision.datasets import ImageFolder

    try:
        dataset = ImageFolder(str(path), transform)
    except FileNotFoundError as error:
        raise InputError(f"'{path}' is not a tree <class>/<images> ({error})") from error
    return dataset_data(dataset, device, workers), tuple(dataset.classes)
