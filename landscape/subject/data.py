"""Read labelled data by index: the un-augmented samples of a subject.

Anybody's data are taken: a torch dataset, a loader, or a pair of tensors. A loader is taken for its
dataset: samples are read by their index, in the order an analysis asks for, so that shuffling and
``drop_last`` play no part. Items and batches are pairs, longer tuples whose last entry is the
label, or mappings with ``label`` or the like; inputs and targets may be nests of tensors.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from landscape.deadline import check_time
from landscape.device import available_cores
from landscape.errors import InputError
from landscape.subject.batch import Batch, mapped, tensors
from landscape.subject.calling import takes_inputs
from landscape.subject.evaluation_copy import cast_like, unwrapped
from landscape.subject.items import (
    Chosen,
    Failure,
    Labelled,
    class_numbers,
    joined,
    parted,
    without_column,
)

_HASHED = 64  # samples
_MOST_HASHED = 4096


class LabelledData(Protocol):
    """Un-augmented samples, addressable by index and read lazily."""

    @property
    def labels(self) -> Tensor:
        """Class of each sample, (N,) int64, on the CPU."""
        ...

    def batches(self, indices: Tensor, batch_size: int) -> Iterator[tuple[Any, Any]]:
        """Yield ``(inputs, targets)`` on the device, in the order of ``indices``."""
        ...


@dataclass(frozen=True)
class TensorData:
    """Samples held in memory.

    Args:
        inputs: (N, …) model inputs, on any device; or a nest of such tensors.
        labels: (N,) integer classes by which samples are addressed.
        targets: (N, …) what the loss compares with, likewise; the labels unless given (soft
            labels, say).
    """

    inputs: Any
    labels: Tensor
    targets: Any = None

    def batches(self, indices: Tensor, batch_size: int) -> Iterator[tuple[Any, Any]]:
        """Yield ``(inputs, targets)`` in the order of ``indices``."""
        targets = self.labels if self.targets is None else self.targets
        device = next((t.device for t in tensors(self.inputs)), self.labels.device)
        for part in indices.split(batch_size):
            rows = partial(_rows, part.to(device))
            yield mapped(rows, self.inputs), mapped(rows, targets)


def _rows(at: Tensor, values: Tensor) -> Tensor:
    return values.to(at.device)[at]


def read(data: LabelledData, indices: Tensor, batch_size: int, weight: Tensor) -> Iterator[Batch]:
    """Read samples in order, where a model's weights are and in their precision.

    Args:
        data: in whose own batches samples may come.
        indices: (n,) of the samples.
        batch_size: samples of a batch.
        weight: any parameter of the model.

    Raises:
        InputError: the data give more or fewer samples than asked for.
    """
    if not len(indices):  # of a process that shares a class smaller than their number
        return
    count = 0
    check_time()
    for inputs, targets in data.batches(indices, batch_size):
        batch = Batch(inputs, targets)
        batch.samples = indices[count : count + batch.size]
        count += batch.size
        if count > len(indices):
            break
        inputs, targets = (cast_like(part, weight) for part in batch)
        yield Batch(inputs, targets, batch.samples)
        check_time()
    if count != len(indices):
        raise InputError(
            f"the data gave {count} of {len(indices)} samples asked for; a loader that drops its "
            "last batch (drop_last), or a collate function that leaves samples out, changes the "
            "mean: switch that off"
        )


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
        data = dataset_data(data, next(model.parameters()).device, model=lambda: model)
    if data.labels.numel() == 0:
        raise InputError("the data hold no sample; give labelled data to diagnose")
    _check_labels(data)
    if isinstance(data, TensorData):
        data = replace(data, labels=data.labels.long().cpu())
    labelled: LabelledData = data
    return labelled


def _check_labels(data: LabelledData) -> None:
    labels = data.labels
    class_numbers(labels.where(labels >= 0, 0), "the labels")  # those below 0 belong to no class
    inputs = tensors(data.inputs) if isinstance(data, TensorData) else []
    rows = {len(part) if part.dim() else 0 for part in inputs} | {len(labels)}
    if labels.dim() > 1 or len(rows) > 1:
        raise InputError(
            f"labels are {tuple(labels.shape)} for inputs of {sorted(rows)} rows; expected (N,) "
            "for N rows"
        )


@dataclass(frozen=True)
class TowardsLabels:
    """Samples of other data, whose targets are their labels: of soft targets, say."""

    data: LabelledData

    @property
    def labels(self) -> Tensor:
        """Class of each sample, (N,) int64, on the CPU."""
        return self.data.labels

    def batches(self, indices: Tensor, batch_size: int) -> Iterator[tuple[Any, Tensor]]:
        """Yield ``(inputs, labels)`` in the order of ``indices``."""
        seen = 0
        for inputs, targets in self.data.batches(indices, batch_size):
            count = Batch(inputs, targets).size
            yield inputs, self.labels[indices[seen : seen + count]]
            seen += count


def hard_targets(data: LabelledData) -> Tensor:
    """Find the targets of the loss where they are one class a sample, else the labels."""
    targets = getattr(data, "targets", None)
    if isinstance(targets, Tensor) and targets.shape == data.labels.shape:
        return targets.cpu()
    return data.labels


@dataclass(frozen=True)
class DatasetData:
    """A map-style dataset of labelled items, read lazily.

    Args:
        dataset: of pairs, longer tuples or mappings.
        labels: (N,) int64, CPU.
        device: where batches are put.
        collate: joins samples; default: torch's.
        workers: reading processes; 0 reads in this one.
        inputs: entries of an item, when it is a tuple, that are inputs; the next is the target.
    """

    dataset: Dataset[Any]
    labels: Tensor
    device: torch.device
    collate: Callable[[list[Any]], Any] | None = None
    workers: int = 0
    inputs: int = 1

    def batches(self, indices: Tensor, batch_size: int) -> Iterator[tuple[Any, Any]]:
        """Yield ``(inputs, targets)`` on the device, in the order of ``indices``.

        Raises:
            InputError: an item could not be read, or items could not be joined.
        """
        loader = DataLoader(
            Chosen(self.dataset, indices.tolist()),
            batch_size,
            num_workers=min(self.workers, available_cores()),
            collate_fn=partial(joined, self.collate),
            generator=torch.Generator(),  # torch's own is the user's
        )
        for found in loader:
            if isinstance(found, Failure):
                raise found.error()
            inputs, targets = mapped(lambda t: t.to(self.device), parted(found, self.inputs))
            yield inputs, without_column(targets)

    def fingerprint(self) -> str:
        """Hash all labels and 64 samples spread evenly."""
        count = len(self.labels)
        return _sha256(self, torch.linspace(0, count - 1, min(_HASHED, count)), targets=False)


def dataset_data(
    source: Any,
    device: torch.device,
    workers: int = 0,
    model: Callable[[], nn.Module] | None = None,
) -> DatasetData:
    """Make a dataset or a loader addressable by index.

    Args:
        source: a map-style :class:`torch.utils.data.Dataset` whose items are ``(input, label)``,
            tuples of several inputs and a label, or mappings with one; a loader over one; or a
            tuple of tensors or arrays, inputs and labels.
        device: where batches are put.
        workers: reading processes, where a loader brings none of its own.
        model: gives the model, by whose inputs the label is found where several entries of an item
            are whole numbers.

    Raises:
        InputError: it cannot be read by index, or its labels are no classes.
    """
    collate = None
    arrays = isinstance(source, tuple) and all(isinstance(p, (Tensor, np.ndarray)) for p in source)
    if arrays and len({len(part) for part in source}) == 1:
        source = TensorDataset(*map(torch.as_tensor, source))
    if isinstance(source, DataLoader):
        if source.batch_size is None and source.batch_sampler is None:
            raise InputError(
                "the loader makes no batches (batch_size is None), so that its dataset gives "
                "whole ones; give a dataset of single samples"
            )
        collate, workers = source.collate_fn, source.num_workers or workers
        source = source.dataset
    if isinstance(source, IterableDataset) or not hasattr(source, "__getitem__"):
        raise InputError(
            f"{type(source).__name__} cannot be read by index; give a map-style torch Dataset of "
            "(input, label)"
        )
    found = Labelled(source, collate, partial(_takes, model))
    return DatasetData(source, found.labels, device, collate, workers, found.inputs)


def _takes(model: Callable[[], nn.Module] | None, count: int) -> bool:
    return model is None or takes_inputs(unwrapped(model()), count)


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
        for tensor in tensors((inputs, wanted) if targets else inputs):
            digest.update(_bytes(tensor))
    return digest.hexdigest()


def _bytes(value: Tensor) -> bytes:
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
