"""First-order graphs of a scope's batches: kept as the memory budget allows, else built anew.

A kept graph spares a forward and a backward pass at every product. Batches without one are
recomputed, from inputs that are read once where a quarter of the budget holds them. What a graph
takes is measured on a few samples.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from torch import Tensor, nn

from landscape.curvature.checks import differentiated
from landscape.curvature.convolutions import (
    computes,
    laid_out,
    prepare_convolutions,
    restore_convolutions,
    same_unfolded,
    takes_channels_last,
)
from landscape.curvature.memory import GIB, GraphSize, free_bytes, graph_size
from landscape.curvature.products import (
    DIFFERENTIABLE_ATTENTION,
    Curvature,
    Graph,
    build_graph,
    weighted,
)
from landscape.errors import InputError, MemoryWarning, Setting
from landscape.subject.batch import Batch, tensors
from landscape.subject.data import LabelledData, read
from landscape.subject.loss import Loss
from landscape.subject.out_of_memory import halved
from landscape.subject.subject import Selection

_MEASURED_SAMPLES = 8


class Graphs:
    """The graphs of a scope's batches; iterating yields each, and whether it is kept.

    Args:
        model: the evaluation copy; its convolutions are prepared for second derivatives.
        loss: per-sample loss.
        parameters: of the copy, in their order.
        data: which is read.
        selection: the samples and their weights.
        kind: of the matrix.
        whole: whether the matrix is one block of all parameters.
        batch_size: samples a forward pass, at most.
        memory_budget: GiB that graphs, kept and passing, may take; 0 keeps none.
        splittable: whether a smaller batch gives the same matrix.

    Attributes:
        batch_size: fewer than asked for where a batch would exceed the budget.
        size: what a graph takes, once measured.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        parameters: Sequence[Tensor],
        data: LabelledData,
        selection: Selection,
        *,
        kind: Curvature,
        whole: bool,
        batch_size: int,
        memory_budget: float,
        splittable: bool,
    ) -> None:
        self._model, self._loss, self._parameters = model, loss, parameters
        self._data, self._selection = data, selection
        self._kind, self._whole, self._splittable = kind, whole, splittable
        self.batch_size, self.size = batch_size, GraphSize(0, 0)
        self._device = parameters[0].device
        self._budget, self._reserved = int(memory_budget * GIB), 0
        self._kept = list[tuple[Graph, int]]()
        self._room = None if memory_budget else 0  # batches whose graph may be kept
        self._reads_once, self._read = False, list[tuple[Batch, Tensor]]()  # those without a graph
        self._compared = 0  # samples whose loss was compared with that of the unfolded model
        self._prepared, self._channels_last = False, False
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

    def safer_ways(self) -> Iterator[str]:
        """Take the next safer way at each step, and name it."""
        self._channels_last = False
        yield "contiguous images"
        restore_convolutions(self._model)
        yield "PyTorch's own convolutions"

    def __iter__(self) -> Iterator[tuple[Graph, bool]]:
        """Yield every batch's graph and whether it is kept; fill the budget on the first pass."""
        self.prepare()
        yield from ((graph, True) for graph, _ in self._kept)
        unkept = list[tuple[Batch, Tensor]]()
        skipped = sum(count for _, count in self._kept)
        for batch, weights in self._read or self.batches(skipped):
            graph = self.build(batch, weights)
            keep = self._room is not None and len(self._kept) < self._room
            if keep:
                self._kept.append((graph, batch.size))
            elif self._reads_once:
                unkept.append((batch, weights))
            yield graph, keep
        self._read = unkept

    def build(self, batch: Batch, weights: Tensor) -> Graph:
        """Build the graph of a batch, by the samples' weights (B,)."""
        return build_graph(self._kind, self._model, self._loss, batch, weights, self._parameters)

    def prepare(self) -> None:
        """Once, on a few samples: choose the quickest kernels, and fit graphs into the budget."""
        if self._prepared:
            return
        self._prepared = True
        if self.samples == 0:  # fewer samples than processes
            self._room = 0
            return
        try:
            self._choose()
        except (RuntimeError, MemoryError):
            self._prepared = False
            restore_convolutions(self._model)
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

    def _choose(self) -> None:
        sample, weights = self.few()
        with DIFFERENTIABLE_ATTENTION(), differentiated():
            prepare_convolutions(
                self._model,
                lambda: weighted(self._loss.per_sample(self._model, sample), weights),
                twice=self._kind in ("hessian", "difference") and self._whole,
            )
            if not computes(lambda: self.build(sample, weights)):  # by forward derivatives
                restore_convolutions(self._model)
            self._channels_last = takes_channels_last(
                self._model,
                sample,
                lambda given: self.build(given, weights).product(
                    list(self._parameters), range(len(self._parameters)), keep=False
                ),
            )
            self._fit_memory(self.laid_out(sample), weights)

    def few(self) -> tuple[Batch, Tensor]:
        """Read a few samples with their weights."""
        indices = self._selection.indices[: self._measured]
        batch = next(read(self._data, indices, len(indices), self._parameters[0]))
        weights = self._selection.weights[: batch.size].to(self._device)
        return self.laid_out(batch), weights

    def _fit_memory(self, batch: Batch, weights: Tensor) -> None:
        """Lower the batch size to what the budget holds, and count the graphs to keep."""
        if self._room is not None:
            return
        size = graph_size(
            lambda part: self.build(batch.rows(part), weights[part]),
            len(weights),
            self._model,
        )
        size = replace(
            size, fixed=size.fixed + sum(p.nbytes for p in self._parameters)
        )  # the gradient
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
        for batch in read(self._data, indices, self.batch_size, self._parameters[0]):
            given = self.laid_out(batch)
            self._check_folding(given, skipped + seen)
            yield given, weights[seen : seen + batch.size]
            seen += batch.size

    def _check_folding(self, batch: Batch, place: int) -> None:
        """Compare losses once a batch with the unfolded model's; unfold where they differ."""
        if place < self._compared:
            return
        self._compared = place + batch.size
        if not same_unfolded(self._model, lambda: self._loss.values(self._model, batch)[0]):
            restore_convolutions(self._model)

    def laid_out(self, batch: Batch) -> Batch:
        """Lay images out in memory as the convolutions are quickest."""
        return laid_out(batch, channels_last=self._channels_last)
