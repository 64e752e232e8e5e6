"""Samples of a selection, held in memory once they were read, where they fit."""

import copy
from collections.abc import Generator, Iterable, Iterator
from itertools import groupby

import torch
from torch import Tensor

from landscape.distributed import is_sharing, own_part
from landscape.subject.batch import Batch, tensors
from landscape.subject.data import LabelledData, read
from landscape.subject.members import runs_of_classes
from landscape.subject.out_of_memory import halved
from landscape.subject.subject import Selection

MOST_HELD = 2 * 2**30  # bytes of inputs
_FEW = 8  # samples


class HeldSamples:
    """Read a selection's samples, those of this process where they are shared.

    Args:
        data: which is read.
        selection: the samples and their weights.
        like: any parameter; inputs are read to its device and in its precision.
        batch_size: samples a batch.
        shared: whether the processes share the samples; otherwise each reads all of them.

    Attributes:
        selection: the samples of all processes.
        labels: class of each, in their order (n,).
    """

    def __init__(
        self,
        data: LabelledData,
        selection: Selection,
        like: Tensor,
        batch_size: int,
        *,
        shared: bool = True,
    ) -> None:
        self._data, self._like, self._shared = data, like, shared
        self.selection, self.labels = selection, data.labels[selection.indices]
        self._at_once = [batch_size]  # one number for parts, too
        self._held: list[Batch] | None = None

    def __iter__(self) -> Iterator[Batch]:
        """Read the samples; they are kept in memory when they fit."""
        if self._held is not None:
            yield from self._held
            return
        indices = self.selection.indices
        self._held = yield from held(self._read(own_part(indices) if self._shared else indices))

    def few(self) -> Batch:
        """Read a few samples, the same in all processes."""
        if not is_sharing():
            return next(iter(self)).rows(slice(_FEW))
        return next(self._read(self.selection.indices[:_FEW]))

    def on(self, members: Tensor) -> "HeldSamples":
        """Take some of the samples alone.

        Args:
            members: (n,) whether a sample, in their order, is one.
        """
        if self._held is None or is_sharing():
            return self._only(members, None)
        places = members.split([batch.size for batch in self._held])
        pairs = zip(self._held, places, strict=True)
        return self._only(members, [batch.rows(kept) for batch, kept in pairs if kept.any()])

    def by_class(self) -> Iterator[tuple[int, "HeldSamples"]]:
        """Take each class alone; all are read in one pass, for which samples lie class by class.

        Yields:
            A class and its samples, held in memory when they fit.
        """
        if is_sharing():  # a process may hold no sample of a class
            for c in self.labels.unique().tolist():
                yield c, self._only(torch.eq(self.labels, c), None)
            return
        for c, own in groupby(runs_of_classes(self, self.labels), lambda run: run[0]):
            kept = read_whole(batch for _, batch in own)
            yield c, self._only(torch.eq(self.labels, c), kept)

    def take_less(self) -> bool:
        """Read half as many at a time; false where that is one."""
        before = min(self._at_once[0], max(len(self.labels), 1))
        self._at_once[0], self._held = halved(before), None
        return self._at_once[0] < before

    def _only(self, members: Tensor, batches: list[Batch] | None) -> "HeldSamples":
        part, chosen = copy.copy(self), self.selection
        part.selection = Selection(chosen.indices[members], chosen.weights[members])
        part.labels, part._held = self.labels[members], batches
        return part

    def _read(self, chosen: Tensor) -> Iterator[Batch]:
        return read(self._data, chosen, self._at_once[0], self._like)


def held(batches: Iterable[Batch]) -> Generator[Batch, None, list[Batch] | None]:
    """Yield batches, and return them all once they are read; ``None`` where they do not fit.

    Args:
        batches: as they are read.
    """
    size, found = 0, list[Batch]()
    for batch in batches:
        size += sum(part.nbytes for part in tensors(batch[0]))
        if size <= MOST_HELD:
            found.append(batch)
        else:
            found.clear()
        yield batch
    return found if size <= MOST_HELD else None


def read_whole(batches: Iterable[Batch]) -> list[Batch] | None:
    """Read batches to their end, and return them; ``None`` where they do not fit."""
    reading = held(batches)
    while True:
        try:
            next(reading)
        except StopIteration as end:
            found: list[Batch] | None = end.value
            return found
