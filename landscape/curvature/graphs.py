"""First-order graphs of a scope's batches: kept as the memory budget allows, else built anew.

A kept graph spares a forward and a backward pass at every product. Batches without one are
recomputed, from inputs that are read once where a quarter of the budget holds them. What a graph
takes is measured on a few samples.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from landscape.curvature.memory import GIB, GraphSize, free_bytes
from landscape.curvature.preparation import Preparation
from landscape.curvature.products import Graph
from landscape.errors import InputError, MemoryWarning, Setting
from landscape.subject.batch import Batch, tensors
from landscape.subject.data import LabelledData, read
from landscape.subject.out_of_memory import halved
from landscape.subject.subject import Selection

_MEASURED_SAMPLES = 8


class Graphs:
    """The graphs of a scope's batches; iterating yields each, and whether it is kept.

    Args:
        preparation: how a graph is built.
        like: any parameter; inputs are read to its device and in its precision.
        data: which is read.
        selection: the samples and their weights.
        batch_size: samples a forward pass, at most.
        memory_budget: GiB that graphs, kept and passing, may take; 0 keeps none.
        splittable: whether a smaller batch gives the same matrix.

    Attributes:
        batch_size: fewer than asked for where a batch would exceed the budget.
        data: which is read.
        size: what a graph takes, once measured.
    """

    def __init__(
        self,
        preparation: Preparation,
        like: Tensor,
        data: LabelledData,
        selection: Selection,
        *,
        batch_size: int,
        memory_budget: float,
        splittable: bool,
    ) -> None:
        self.preparation, self._like = preparation, like
        self.data, self._selection, self._splittable = data, selection, splittable
        self.batch_size, self.size = batch_size, GraphSize(0, 0)
        self._device = like.device
        self._budget, self._reserved = int(memory_budget * GIB), 0
        self._kept = list[tuple[Graph, int]]()
        self._room = None if memory_budget else 0  # batches whose graph may be kept
        self._reads_once, self._read = False, list[tuple[Batch, Tensor]]()  # those without a graph
        self._compared = 0  # samples whose loss was compared with that of the unfolded model
        self._prepared = False
        self._measured = _MEASURED_SAMPLES

    @property
    def kept(self) -> int:
        """Batches whose graph is kept."""
        return len(self._kept)

    @property
    def samples(self) -> int:
        """Samples of the scope, in this process."""
        return len(self._selection.indices)

    @property
    def count(self) -> int:
        """Batches of the scope."""
        return -(-self.samples // self.batch_size)

    def reserve(self, size: int) -> None:
        """Leave ``size`` bytes of the budget to others; before the first product."""
        assert not self._prepared, "the budget is spent by the first product"
        self._budget -= size
        self._reserved += size

    def check_budget(self) -> None:
        """Check that the budget holds a batch, and warn where it is smaller than asked for.

        Raises:
            InputError: it does not hold two samples, which would be multiplied one by one.
        """
        asked = min(self.batch_size, self.samples)
        self.prepare()
        needed, least = (self.size.working_memory(n) for n in (asked, min(asked, 2)))
        if not self._splittable or needed <= max(self._budget, 0):
            return
        left = max(self._budget, 0) / GIB
        told = f"{asked} samples at a time take {needed / GIB:.3g} GiB, and {left:.3g} are left of "
        whole = max(2 * needed, needed + self._reserved) if self._reserved else needed
        enough = f"; {whole / GIB:.3g} would do"  # half of a budget may go to others
        if least > self._budget:
            raise InputError(told, Setting("spectrum.memory_budget"), enough)
        said = f"{told}memory_budget: {self.batch_size} are taken{enough}"
        warnings.warn(said, MemoryWarning, stacklevel=2)

    @contextmanager
    def anew(self) -> Iterator[None]:
        """Read all data and build every graph anew inside the block; keep nothing of it."""
        self.prepare()
        state = self._kept, self._room, self._reads_once, self._read
        self._kept, self._room, self._reads_once, self._read = [], 0, False, []
        try:
            yield
        finally:
            self._kept, self._room, self._reads_once, self._read = state

    def __iter__(self) -> Iterator[tuple[Graph, bool]]:
        """Yield every batch's graph and whether it is kept; fill the budget on the first pass."""
        self.prepare()
        yield from ((graph, True) for graph, _ in self._kept)
        unkept = list[tuple[Batch, Tensor]]()
        skipped = sum(count for _, count in self._kept)
        for batch, weights in self._read or self.batches(skipped):
            graph = self.preparation.build(batch, weights)
            keep = self._room is not None and len(self._kept) < self._room
            if keep:
                self._kept.append((graph, batch.size))
            elif self._reads_once:
                unkept.append((batch, weights))
            yield graph, keep
        self._read = unkept

    def prepare(self) -> None:
        """Once, on a few samples: choose the quickest kernels, and fit graphs into the budget."""
        if self._prepared:
            return
        self._prepared = True
        if self.samples == 0:  # fewer samples than processes
            self._room = 0
            return
        try:
            sample, weights = self._read_few()
            self.preparation.choose(sample, weights)
            self._fit_memory(self.preparation.laid_out(sample), weights)
        except (RuntimeError, MemoryError):
            self._prepared = False
            raise

    def take_less(self) -> bool:
        """Take half as many samples at a time, and keep half as many graphs.

        Returns:
            False where it is one sample already, or a part of a batch has another matrix.
        """
        kept = len(self._kept)
        self._room = kept // 2
        del self._kept[self._room :]
        self._read, self._reads_once = [], False
        at_once = min(self.batch_size, max(self.samples, 1))
        self._measured = -(-min(self._measured, at_once) // 2)
        if not self._splittable:
            return kept > 0
        self.batch_size = halved(at_once)
        return self.batch_size < at_once or kept > 0

    def few(self) -> tuple[Batch, Tensor]:
        """Read a few samples, laid out, with their weights."""
        batch, weights = self._read_few()
        return self.preparation.laid_out(batch), weights

    def _read_few(self) -> tuple[Batch, Tensor]:
        """Read some samples from the first to the last, so that they are of several classes."""
        count = min(self._measured, self.samples)
        chosen = torch.linspace(0, self.samples - 1, count).round().long()
        indices, weights = self._selection.indices[chosen], self._selection.weights[chosen]
        batch = next(read(self.data, indices, count, self._like))  # which may hold fewer
        return batch, weights[: batch.size].to(self._device)

    def _fit_memory(self, batch: Batch, weights: Tensor) -> None:
        """Lower the batch size to what the budget holds, and count the graphs to keep."""
        if self._room is not None:
            return
        size = self.preparation.graph_size(batch, weights)
        if self._device.type == "cuda":
            self._budget = min(self._budget, (free_bytes(self._device) or 0) - self._reserved)
        self.size = size
        if self._splittable:
            self.batch_size = min(self.batch_size, size.most_samples(self._budget))
        samples = min(self.batch_size, self.samples)
        self._room = size.graphs_kept(self._budget, samples)
        few = sum(part.nbytes for part in tensors(tuple(batch)))
        inputs = few // len(weights) * self.samples
        self._reads_once = self._room < self.count and inputs <= self._budget / 4
        if self._reads_once:
            self._room = size.graphs_kept(self._budget - inputs, samples)

    def batches(self, skipped: int = 0) -> Iterator[tuple[Batch, Tensor]]:
        """Read batches from the given sample on, laid out, with their samples' weights."""
        indices = self._selection.indices[skipped:]
        if len(indices) == 0:
            return
        weights = self._selection.weights[skipped:].to(self._device)
        seen = 0
        self.prepare()
        for batch in read(self.data, indices, self.batch_size, self._like):
            given = self.preparation.laid_out(batch)
            self._check_folding(given, skipped + seen)
            yield given, weights[seen : seen + batch.size]
            seen += batch.size

    def _check_folding(self, batch: Batch, place: int) -> None:
        """Compare each batch once with the unfolded model."""
        if place < self._compared:
            return
        self._compared = place + batch.size
        self.preparation.check_folding(batch)
