r"""Which matrix: symmetric operators known by their products.

The Hessian of a scope is H = Σ_i a_i ∇²ℓ_i(w), with the sample weights a_i of the scope (their sum
is 1). Products come from double backward (Pearlmutter 1994), batch by batch; because the weights
are fixed for the whole scope, the batch size changes memory and speed but not the matrix.
"""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from landscape.errors import InputError
from landscape.subject import (
    Batch,
    BatchNormMode,
    Selection,
    Subject,
    full_precision,
    judged_copy,
)


class Operator(Protocol):
    """A symmetric matrix known by its products."""

    size: int
    dtype: torch.dtype
    device: torch.device

    def matmat(self, vectors: Tensor) -> Tensor:
        """Multiply the matrix with ``vectors`` (P, k)."""
        ...


class HessianOperator:
    """Hessian of a scope's loss over the trainable parameters.

    Args:
        subject: model, data and loss; left untouched, a copy is judged.
        selection: the samples and their weights, from :meth:`Subject.select`.
        dtype: precision of the copy and of the products; sums over batches are float64.
        bn: BatchNorm in eval mode, or by each batch's statistics.
        batch_size: samples a forward pass.

    Attributes:
        size: number of trainable parameters P.
        parameters: the judged copy's trainable parameters, in the model's order.
        products: matrix-vector products made so far.

    Raises:
        InputError: the model has no trainable parameter.
    """

    def __init__(
        self,
        subject: Subject,
        selection: Selection,
        *,
        dtype: torch.dtype = torch.float32,
        bn: BatchNormMode = "eval",
        batch_size: int = 256,
    ) -> None:
        self._data, self._loss, self._selection = subject.data, subject.loss, selection
        self._batch_size = batch_size
        self._model = judged_copy(subject.model, dtype, bn)
        self.parameters = [p for p in self._model.parameters() if p.requires_grad]
        if not self.parameters:
            raise InputError("the model has no trainable parameter; set requires_grad on some")
        self.size = sum(p.numel() for p in self.parameters)
        self.dtype, self.device = dtype, self.parameters[0].device
        self.products = 0

    def matmat(self, vectors: Tensor) -> Tensor:
        """Return H times ``vectors`` (P, k), in the operator's dtype.

        The forward pass and the first backward pass of a batch serve all k columns.
        """
        total = torch.zeros(vectors.shape, dtype=torch.float64, device=self.device)
        columns = [self._split(column) for column in vectors.to(self.dtype).unbind(dim=1)]
        with full_precision():
            for loss in self._batch_losses():
                gradient = self._first_order(loss)
                for k, column in enumerate(columns):
                    total[:, k] += self._second_order(gradient, column, k + 1 < len(columns))
        self.products += vectors.shape[1]
        return total.to(self.dtype)

    def loss_and_gradient(self) -> tuple[float, Tensor]:
        """Return the scope's mean loss and its gradient (P,) in float64."""
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        gradient = torch.zeros(self.size, dtype=torch.float64, device=self.device)
        with full_precision():
            for loss in self._batch_losses():
                loss_sum += loss.detach()
                parts = torch.autograd.grad(loss, self.parameters, materialize_grads=True)
                gradient += _flat(parts)
        return float(loss_sum), gradient

    def _batch_losses(self) -> Iterator[Tensor]:
        weights = self._selection.weights.to(self.device, self.dtype).split(self._batch_size)
        batches = self._data.batches(self._selection.indices, self._batch_size)
        for batch, weight in zip(batches, weights, strict=True):
            yield self._loss.per_sample(self._model, self._cast(batch)) @ weight

    def _cast(self, batch: Batch) -> Batch:
        inputs, targets = (part.to(self.device) for part in batch)
        inputs = inputs.to(self.dtype) if inputs.is_floating_point() else inputs
        targets = targets.to(self.dtype) if targets.is_floating_point() else targets
        return inputs, targets

    def _first_order(self, loss: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(loss, self.parameters, create_graph=True, materialize_grads=True)

    def _second_order(
        self, gradient: tuple[Tensor, ...], column: list[Tensor], keep: bool
    ) -> Tensor:
        pairs = [(g, v) for g, v in zip(gradient, column, strict=True) if g.requires_grad]
        if not pairs:
            return torch.zeros(self.size, dtype=torch.float64, device=self.device)
        outputs, directions = zip(*pairs, strict=True)
        return _flat(
            torch.autograd.grad(
                outputs, self.parameters, directions, retain_graph=keep, materialize_grads=True
            )
        )

    def _split(self, vector: Tensor) -> list[Tensor]:
        parts = vector.split([p.numel() for p in self.parameters])
        return [part.view_as(p) for part, p in zip(parts, self.parameters, strict=True)]


class MatrixOperator:
    """A dense symmetric matrix as an operator, for small cases and for references.

    Args:
        matrix: (P, P) symmetric.
    """

    def __init__(self, matrix: Tensor) -> None:
        self._matrix = matrix
        self.size, self.dtype, self.device = len(matrix), matrix.dtype, matrix.device
        self.products = 0

    def matmat(self, vectors: Tensor) -> Tensor:
        """Return the matrix times ``vectors`` (P, k)."""
        self.products += vectors.shape[1]
        return self._matrix @ vectors


def dense(operator: Operator) -> Tensor:
    """Build the whole matrix (P, P) from products with the unit vectors; for small P."""
    identity = torch.eye(operator.size, dtype=operator.dtype, device=operator.device)
    return operator.matmat(identity)


def _flat(parts: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([part.detach().reshape(-1) for part in parts]).double()
