r"""Which matrix: symmetric operators known by their products.

The Hessian of a scope is H = Σ_i a_i ∇²ℓ_i(w), with the sample weights a_i of the scope (their sum
is 1). Products come from double backward (Pearlmutter 1994), batch by batch; because the weights
are fixed for the whole scope, the batch size changes memory and speed but not the matrix.
"""

from collections.abc import Sequence
from copy import copy
from functools import partial
from typing import Protocol, get_args

import torch
from torch import Tensor

from landscape.curvature.graphs import Graphs
from landscape.curvature.preparation import Preparation
from landscape.curvature.products import (
    DIFFERENTIABLE_ATTENTION,
    Curvature,
    Graph,
    flat,
    gradient,
    weighted,
)
from landscape.curvature.soundness import Soundness
from landscape.deadline import check_time
from landscape.distributed import own_share, summed
from landscape.errors import InputError, unknown
from landscape.global_state import controlled_state
from landscape.subject.batch import check_finite
from landscape.subject.evaluation_copy import BatchNormMode, evaluation_copy, unwrapped
from landscape.subject.out_of_memory import with_less_memory
from landscape.subject.parameters import chosen_parameters, module_blocks
from landscape.subject.subject import Selection, Subject


class Operator(Protocol):
    """A symmetric matrix known by its products."""

    size: int
    dtype: torch.dtype
    device: torch.device

    def matmat(self, vectors: Tensor) -> Tensor:
        """Multiply the matrix with ``vectors`` (P, k)."""
        ...

    def fresh_matmat(self, vectors: Tensor) -> Tensor:
        """Multiply again from the data, with nothing kept from earlier products."""
        ...


class CurvatureOperator:
    """Curvature of a scope's loss over trainable parameters.

    Args:
        subject: model, data and loss; left untouched, a copy is judged.
        selection: the samples and their weights, from :meth:`Subject.select`.
        curvature: Hessian, generalised Gauss-Newton, a Fisher matrix, or the difference of
            the first two.
        parameters: names or globs of the parameters, such as ``layer3.*``; default: all trainable.
        blocks: keep only the diagonal block of each module's own parameters.
        weight_decay: adds this times the identity, the curvature of an L2 penalty.
        dtype: precision of the copy and of the products; sums over batches are float64.
        bn: BatchNorm in eval mode, or by each batch's statistics.
        batch_size: samples a forward pass, at most; fewer where a batch would exceed the budget.
        memory_budget: GiB that graphs, kept and passing, may take; 0 keeps none.
        shared: spread the samples over the processes of ``torchrun``, all of which make the same
            products; BatchNorm has to be in eval mode.

    Attributes:
        size: number of parameters P.
        names: of the parameters, in the order in which they are flattened.
        parameters: the judged copy's, likewise.
        blocks: the modules whose diagonal blocks are kept; one nameless block of all otherwise.
        sizes: parameters of each block; they lie side by side.
        products: matrix-vector products made so far, each with one block.
        kept_batches: batches whose graph is kept, once a product was made.

    Raises:
        InputError: no trainable parameter is chosen.
    """

    @controlled_state()
    def __init__(
        self,
        subject: Subject,
        selection: Selection,
        *,
        curvature: Curvature = "hessian",
        parameters: Sequence[str] = ("*",),
        blocks: bool = False,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
        bn: BatchNormMode = "eval",
        batch_size: int = 256,
        memory_budget: float = 4.0,
        shared: bool = False,
    ) -> None:
        if curvature not in get_args(Curvature):
            raise unknown("curvature", str(curvature), get_args(Curvature))
        self._again = partial(
            CurvatureOperator,
            subject,
            curvature=curvature,
            parameters=parameters,
            blocks=blocks,
            weight_decay=weight_decay,
            bn=bn,
            batch_size=max(batch_size // 2, 1) if bn == "eval" else batch_size,
            shared=shared,
        )
        self._loss, self._selection, self._shared = subject.loss, selection, shared
        self._decay = weight_decay
        self._twin: CurvatureOperator | None = None  # in float64; that of other scopes, too
        self._model = evaluation_copy(subject.model, dtype, bn)
        chosen = chosen_parameters(self._model, parameters)
        self.names, self.parameters = tuple(chosen), list(chosen.values())
        for name, parameter in self._model.named_parameters():
            parameter.requires_grad_(name in chosen)  # spares what only the others' gradients need
        self.size = sum(p.numel() for p in self.parameters)
        self.dtype, self.device = dtype, self.parameters[0].device
        members = module_blocks(self.names) if blocks else {"": list(range(len(self.names)))}
        self.blocks, self._members = tuple(members), list(members.values())
        self.sizes = tuple(
            sum(self.parameters[i].numel() for i in block) for block in self._members
        )
        self.products = 0
        fresh_copy, splittable = partial(evaluation_copy, subject.model, dtype, bn), bn == "eval"
        given = (self._model, unwrapped(subject.model), fresh_copy, self._loss, chosen)
        self._soundness = Soundness(*given, kind=curvature, splittable=splittable)
        preparation = Preparation(
            *(self._model, self._loss, self.parameters),
            kind=curvature,
            whole=len(self._members) == 1,
        )
        self._new_graphs = partial(
            Graphs,
            preparation,
            self.parameters[0],
            subject.data,
            batch_size=batch_size,
            memory_budget=memory_budget,
            splittable=splittable,
        )
        self._graphs = self._new_graphs(own_share(selection) if shared else selection)

    def on(self, selection: Selection) -> "CurvatureOperator":
        """Return the operator of other samples, with nothing to prepare or to check anew.

        It shares the copy of the model, and frees no graph of this one's.
        """
        other = copy(self)
        other._selection, other.products = selection, 0
        other._graphs = self._new_graphs(own_share(selection) if self._shared else selection)
        return other

    @property
    def kept_batches(self) -> int:
        """Batches whose graph is kept."""
        return self._graphs.kept

    @property
    def batches(self) -> int:
        """Batches of the scope."""
        return self._graphs.count

    def reserve(self, size: int) -> None:
        """Leave ``size`` bytes of the budget to others; before the first product."""
        self._graphs.reserve(size)

    def check_budget(self) -> None:
        """Check that the budget holds a batch, and warn where it is smaller than asked for.

        Raises:
            InputError: it does not hold two samples, which would be multiplied one by one.
        """
        with_less_memory(self._graphs.check_budget, self._graphs.take_less)

    @controlled_state()
    def matmat(self, vectors: Tensor) -> Tensor:
        """Return the matrix times ``vectors`` (P, k), in the operator's dtype.

        The graph of a batch serves all k columns.
        """
        shape = tuple(vectors.shape) if isinstance(vectors, Tensor) else type(vectors).__name__
        if len(shape) != 2 or shape[0] != self.size:
            raise InputError(
                f"vectors are {shape}; expected a tensor ({self.size}, k), one row for each "
                "parameter"
            )
        total = with_less_memory(lambda: self._sum_of_products(vectors), self._graphs.take_less)
        total = summed(total) if self._shared else total
        if self._decay:
            total += self._decay * vectors.double()
        return total.to(self.dtype)

    def _sum_of_products(self, vectors: Tensor) -> Tensor:
        """Multiply by this process's samples, in float64."""
        total = torch.zeros_like(vectors, dtype=torch.float64)
        columns = [self._split(column) for column in vectors.to(self.dtype).unbind(dim=1)]
        wanted = [self._wanted(column) for column in columns]
        with DIFFERENTIABLE_ATTENTION():
            for graph, keep in self._graphs:
                check_time()
                for k, (column, blocks) in enumerate(zip(columns, wanted, strict=True)):
                    last = k + 1 == len(columns)
                    total[:, k] += self._product(graph, column, blocks, keep=keep or not last)
        self.products += sum(map(len, wanted))
        return total

    def in_float64(self) -> "CurvatureOperator":
        """Return the same matrix with the network, too, in float64; no graph is kept."""
        if self._twin is None:
            self._twin = self._again(self._selection, dtype=torch.float64, memory_budget=0.0)
            self._twin._graphs.preparation.go_as(self._graphs.preparation)
        return self._twin.on(self._selection)

    def fresh_matmat(self, vectors: Tensor) -> Tensor:
        """Return the same product with all data read and every graph built anew."""
        with self._graphs.anew():
            return self.matmat(vectors)

    @controlled_state()
    def check_deterministic(self) -> None:
        """See on a few samples whether there is a matrix at all, and whether products are its.

        Raises:
            InputError: data or products differ the second time, a sample's loss depends on the
                others in its batch, or a derivative is missing or wrong.
        """
        with_less_memory(lambda: self._soundness.check(self._graphs), self._graphs.take_less)

    @controlled_state()
    def loss_and_gradient(self) -> tuple[float, Tensor]:
        """Return the scope's mean loss and its gradient (P,) in float64, without weight decay."""
        loss_sum, summed_gradient = with_less_memory(self._own_gradient, self._graphs.take_less)
        if self._shared:
            loss_sum, summed_gradient = summed(loss_sum), summed(summed_gradient)
        return float(loss_sum), summed_gradient

    def _own_gradient(self) -> tuple[Tensor, Tensor]:
        """Sum losses and gradients over this process's samples."""
        self._graphs.prepare()
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        summed_gradient = torch.zeros(self.size, dtype=torch.float64, device=self.device)
        for batch, weights in self._graphs.batches():
            each = self._loss.per_sample(self._model, batch)
            check_finite(each, batch, "the loss")
            loss = weighted(each, weights)
            loss_sum += loss.detach()
            summed_gradient += flat(gradient(loss, self.parameters))
        return loss_sum, summed_gradient

    def _product(
        self, graph: Graph, column: list[Tensor], blocks: list[list[int]], *, keep: bool
    ) -> Tensor:
        result = [torch.zeros_like(part) for part in column]
        for block in blocks:
            parts = graph.product(column, block, keep=keep or block is not blocks[-1])
            for i, part in zip(block, parts, strict=True):
                result[i] = part
        return flat(result)

    def _wanted(self, column: list[Tensor]) -> list[list[int]]:
        """The blocks in which a vector is not zero."""
        if len(self._members) == 1:
            return self._members
        return [block for block in self._members if any(column[i].any() for i in block)]

    def _split(self, vector: Tensor) -> list[Tensor]:
        parts = vector.split([p.numel() for p in self.parameters])
        return [part.view_as(p) for part, p in zip(parts, self.parameters, strict=True)]
