"""How the graphs of an evaluation copy are built: by which kernels, in which layout, of what size.

Chosen on a few samples and kept for all others of the same shapes, those of other scopes included.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
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
from landscape.curvature.memory import GraphSize, graph_size
from landscape.curvature.products import (
    DIFFERENTIABLE_ATTENTION,
    Curvature,
    Graph,
    build_graph,
    weighted,
)
from landscape.subject.batch import Batch, tensors
from landscape.subject.loss import Loss

Shapes = tuple[tuple[torch.Size, torch.dtype], ...]  # of one sample's tensors


class Preparation:
    """Builds the graphs of batches.

    Args:
        model: the evaluation copy; its convolutions are prepared for second derivatives.
        loss: per-sample loss.
        parameters: of the copy, in their order.
        kind: of the matrix.
        whole: whether the matrix is one block of all parameters.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        parameters: Sequence[Tensor],
        *,
        kind: Curvature,
        whole: bool,
    ) -> None:
        self._model, self._loss, self._parameters = model, loss, parameters
        self._kind, self._whole = kind, whole
        self._channels_last, self._given_up = False, 0
        self._shapes: Shapes | None = None  # of the samples it was chosen on
        self._size: GraphSize | None = None

    def build(self, batch: Batch, weights: Tensor) -> Graph:
        """Build the graph of a batch, by the samples' weights (B,)."""
        return build_graph(self._kind, self._model, self._loss, batch, weights, self._parameters)

    def laid_out(self, batch: Batch) -> Batch:
        """Lay images out in memory as the convolutions are quickest."""
        return laid_out(batch, channels_last=self._channels_last)

    def choose(self, sample: Batch, weights: Tensor) -> None:
        """Choose the quickest kernels and layout, unless that was done for samples of these shapes.

        Args:
            sample: a few samples.
            weights: theirs, (B,).
        """
        shapes = sample_shapes(sample)
        if shapes == self._shapes:
            return
        self._shapes, self._size, self._channels_last = None, None, False
        restore_convolutions(self._model)
        try:
            self._choose(self.laid_out(sample), weights)
        except (RuntimeError, MemoryError):
            restore_convolutions(self._model)
            raise
        self._shapes = shapes

    def _choose(self, sample: Batch, weights: Tensor) -> None:
        with DIFFERENTIABLE_ATTENTION(), differentiated():
            if self._given_up < 2:
                prepare_convolutions(
                    self._model,
                    lambda: weighted(self._loss.per_sample(self._model, sample), weights),
                    twice=self._kind in ("hessian", "difference") and self._whole,
                )
                if not computes(lambda: self.build(sample, weights)):  # by forward derivatives
                    restore_convolutions(self._model)
            self._channels_last = self._given_up == 0 and takes_channels_last(
                self._model,
                sample,
                lambda given: self.build(given, weights).product(
                    list(self._parameters), range(len(self._parameters)), keep=False
                ),
            )

    def graph_size(self, sample: Batch, weights: Tensor) -> GraphSize:
        """Measure once, on a few samples laid out, what a graph and its gradient take."""
        if self._size is None:
            with DIFFERENTIABLE_ATTENTION(), differentiated():
                size = graph_size(
                    lambda part: self.build(sample.rows(part), weights[part]),
                    len(weights),
                    self._model,
                )
            gradient = sum(p.nbytes for p in self._parameters)
            self._size = replace(size, fixed=size.fixed + gradient)
        return self._size

    def check_folding(self, batch: Batch) -> None:
        """Compare losses with the unfolded model's; unfold where they differ."""
        if not same_unfolded(self._model, lambda: self._loss.values(self._model, batch)[0]):
            restore_convolutions(self._model)

    def safer_ways(self) -> Iterator[str]:
        """Take the next safer way at each step, and name it; samples of all shapes go that way."""
        self._channels_last, self._given_up = False, 1
        yield "contiguous images"
        restore_convolutions(self._model)
        self._given_up = 2
        yield "PyTorch's own convolutions"

    def go_as(self, other: "Preparation") -> None:
        """Take no way that another preparation of the same model has given up."""
        self._given_up = other._given_up


def sample_shapes(batch: Batch) -> Shapes:
    """List shape and dtype of each tensor of a sample."""
    return tuple((part.shape[1:], part.dtype) for part in tensors(tuple(batch)))
