"""Read labelled data by index: the un-augmented samples of a subject.

Anybody's data are taken: a torch dataset, a loader, or a pair of tensors. A loader is taken for its
dataset: samples are read by their index, in the order an analysis asks for, so that shuffling and
``drop_last`` play no part.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from landscape.device import available_cores
from landscape.errors import InputError
from landscape.subject.loss import Batch

_HASHED = 64  # samples
_MOST_HASHED = 4096


class LabelledData(Protocol):
    """Un-augmented samples, addressable by index and read lazily."""

    @property
    def labels(self) -> Tensor:
        """Class of each sample, (N,) int64, on the CPU."""
        ...

    def batches(self, indices: Tensor, batch_size: int) -> Iterator[Batch]:
        """Yield ``(inputs, targets)`` on the device, in the order of ``indices``."""
        ...


@dataclass(frozen=True)
class TensorData:
    """Samples held in memory.

    Args:
        inputs: (N, …) model inputs, on any device.
        labels: (N,) integer classes by which samples are addressed.
        targets: (N, …) what the loss compares with; the labels unless given (soft labels, say).
    """

    inputs: Tensor
    labels: Tensor
    targets: Tensor | None = None

    def batches(self, indices: Tensor, batch_size: int) -> Iterator[Batch]:
        """Yield ``(inputs, targets)`` in the order of ``indices``."""
        targets = self.labels if self.targets is None else self.targets
        for part in indices.split(batch_size):
            at = part.to(self.inputs.device)
            yield self.inputs[at], targets.to(self.inputs.device)[at]


def labelled_data(data: Any, model: nn.Module) -> LabelledData:
    """Wrap a dataset or a loader as labelled data, which are taken as they are.

    Args:
        data: anybody's.
        model: on whose device batches are put.

    Raises:
        InputError: there is no sample, or they cannot be read by index.
    """
    labels = getattr(data, "labels", None)
    if not (isinstance(labels, Tensor) and hasattr(data, "batches")):
        data = dataset_data(data, next(model.parameters()).device)
    if data.labels.numel() == 0:
        raise InputError("the data hold no sample; give labelled data to diagnose")
    labelled: LabelledData = data
    return labelled


def hard_targets(data: LabelledData) -> Tensor:
    """Find the targets of the loss where they are one class a sample, else the labels."""
    targets = getattr(data, "targets", None)
    if isinstance(targets, Tensor) and targets.shape == data.labels.shape:
        return targets.cpu()
    return data.labels


@dataclass(frozen=True)
class DatasetData:
    """A map-style dataset of ``(input, label)``, read lazily.

    Args:
        dataset: whose items begin with an input and its label.
        labels: (N,) int64, CPU.
        device: where batches are put.
        collate: joins samples; default: torch's.
        workers: reading processes; 0 reads in this one.
    """

    dataset: Dataset[Any]
    labels: Tensor
    device: torch.device
    collate: Callable[[list[Any]], Any] | None = None
    workers: int = 0

    def batches(self, indices: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield ``(inputs, targets)`` on the device, in the order of ``indices``."""
        loader = DataLoader(
            Subset(self.dataset, indices.tolist()),
            batch_size,
            num_workers=min(self.workers, available_cores()),
            collate_fn=self.collate,
            generator=torch.Generator(),  # torch's own is the user's
        )
        for inputs, targets, *_ in loader:
            yield inputs.to(self.device), targets.to(self.device)

    def fingerprint(self) -> str:
        """Hash all labels and 64 samples spread evenly."""
        count = len(self.labels)
        return _sha256(self, torch.linspace(0, count - 1, min(_HASHED, count)), targets=False)


def dataset_data(source: Any, device: torch.device, workers: int = 0) -> DatasetData:
    """Make a dataset or a loader addressable by index.

    Args:
        source: a map-style :class:`torch.utils.data.Dataset` whose items are ``(input, label)``, or
            a loader over one.
        device: where batches are put.
        workers: reading processes, where a loader brings none of its own.

    Raises:
        InputError: it cannot be read by index, or its labels are no classes.
    """
    collate = None
    if isinstance(source, DataLoader):
        collate, workers = source.collate_fn, source.num_workers or workers
        source = source.dataset
    if isinstance(source, IterableDataset) or not hasattr(source, "__getitem__"):
        raise InputError(
            f"{type(source).__name__} cannot be read by index; give a map-style torch Dataset of "
            "(input, label)"
        )
    return DatasetData(source, labels_of(source), device, collate, workers)


def labels_of(dataset: Any) -> Tensor:
    """Find the classes (N,) of a dataset: its ``targets`` or ``labels``, or by reading every item.

    Raises:
        InputError: the labels are no integers of at least 0, or there is no sample.
    """
    if len(dataset) == 0:
        raise InputError("the dataset holds no sample; give labelled data to diagnose")
    found = _listed(dataset)
    listed = found is not None and _are_targets(dataset, found)
    labels = torch.as_tensor(found) if listed else _read_labels(dataset)
    if labels.dim() != 1 or labels.is_floating_point() or labels.is_complex():
        raise InputError(
            f"the dataset's labels are {tuple(labels.shape)} of {labels.dtype}; expected one class "
            "number a sample"
        )
    if int(labels.min()) < 0:
        raise InputError(f"a label is {int(labels.min())}; classes are numbered from 0")
    return labels.long().cpu()


def class_names_of(dataset: Any) -> tuple[str, ...]:
    """Read the names a dataset gives its classes; empty where it gives none."""
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    names = getattr(dataset, "classes", ())
    return tuple(str(n) for n in names) if isinstance(names, (list, tuple)) else ()


def data_sha256(data: LabelledData) -> str:
    """Hash labelled data.

    Args:
        data: with a method ``fingerprint``, whose answer is taken; or without, and then all labels
            count with the inputs and targets of at most 4096 samples, spread evenly, so that what
            is read from files is not all read once more.
    """
    own = getattr(data, "fingerprint", None)
    if callable(own):
        return str(own())
    count = len(data.labels)
    return _sha256(data, torch.linspace(0, count - 1, min(_MOST_HASHED, count), dtype=torch.double))


def _sha256(data: LabelledData, places: Tensor, *, targets: bool = True) -> str:
    """Hash all labels, and the inputs and targets of samples at some places."""
    digest = hashlib.sha256(_bytes(data.labels))
    for inputs, wanted in data.batches(places.long(), 256):
        digest.update(_bytes(inputs))
        if targets:
            digest.update(_bytes(wanted))
    return digest.hexdigest()


def _listed(dataset: Any) -> Any:
    if isinstance(dataset, Subset):
        inner = _listed(dataset.dataset)
        return None if inner is None else torch.as_tensor(inner)[list(dataset.indices)]
    if isinstance(dataset, TensorDataset):
        return dataset.tensors[1]
    for name in ("targets", "labels"):
        found = getattr(dataset, name, None)
        if isinstance(found, (Tensor, Sequence)) or hasattr(found, "__array__"):
            return found if len(found) == len(dataset) else None  # type: ignore[arg-type]
    return None


def _are_targets(dataset: Any, listed: Any) -> bool:
    """Tell whether a dataset yields the labels it lists, without a ``target_transform``."""
    for position in {0, len(dataset) // 2, len(dataset) - 1}:
        label = torch.as_tensor(dataset[position][1])
        if label.dim() == 0 and int(label) != int(listed[position]):
            return False
    return True


def _read_labels(dataset: Any) -> Tensor:
    found = []
    for position in range(len(dataset)):
        item = dataset[position]
        if not isinstance(item, (tuple, list)) or len(item) < 2:
            raise InputError(
                f"item {position} of {type(dataset).__name__} is a {type(item).__name__}; expected "
                "(input, label)"
            )
        label = item[1]
        whole = torch.as_tensor(label)
        if whole.dim() or whole.is_floating_point():
            raise InputError(
                f"the label of item {position} is {label!r}; expected a class number. Give the "
                "dataset a list 'targets' of class numbers where its targets are something else"
            )
        found.append(int(whole))
    return torch.tensor(found)


def _bytes(value: Tensor) -> bytes:
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
