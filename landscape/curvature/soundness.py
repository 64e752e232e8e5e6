"""One test before long work: whether samples and model give a matrix at all, and the right one."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from landscape.curvature.checks import (
    check_deterministic,
    check_follows_parameters,
    check_gradient_path,
    check_same_batches,
)
from landscape.curvature.finite_differences import compare_products, incomplete_derivative
from landscape.curvature.graphs import Graphs
from landscape.curvature.independence import check_independent_samples, check_read_alone
from landscape.curvature.preparation import Shapes, sample_shapes
from landscape.curvature.products import DIFFERENTIABLE_ATTENTION, Curvature, flat
from landscape.subject.batch import Batch, check_finite
from landscape.subject.loss import Loss


class Soundness:
    """Checks an operator on a few samples of each scope.

    What the code of model and loss decides is checked once for all samples of the same shapes.

    Args:
        model: the evaluation copy.
        original: the user's model.
        fresh_copy: makes another copy.
        loss: per-sample loss.
        named: parameters of the copy that are differentiated by.
        kind: of the matrix.
        splittable: whether a smaller batch gives the same matrix.
    """

    def __init__(
        self,
        model: nn.Module,
        original: nn.Module,
        fresh_copy: Callable[[], nn.Module],
        loss: Loss,
        named: Mapping[str, Tensor],
        *,
        kind: Curvature,
        splittable: bool,
    ) -> None:
        self._model, self._original, self._fresh_copy = model, original, fresh_copy
        self._loss, self._named, self._splittable = loss, named, splittable
        self._kind: Curvature = "hessian" if kind == "difference" else kind
        self._checked = set[Shapes]()

    def check(self, graphs: Graphs) -> None:
        """Check a few samples and, unless that was done for their shapes, the code.

        Raises:
            InputError: data or products differ the second time, a sample's loss depends on the
                others in its batch, or the products are not those of the matrix.
        """
        graphs.prepare()
        if graphs.samples == 0:
            return
        (batch, weights), (again, _) = graphs.few(), graphs.few()
        check_same_batches(batch, again)
        check_finite(self._loss.values(self._model, batch)[0], batch, "the loss")
        shapes = sample_shapes(batch)
        known = shapes in self._checked
        check_gradient_path(self._model, self._loss, batch, self._original, self._named)
        with DIFFERENTIABLE_ATTENTION():
            if not known:
                self._check_repeats(graphs, batch, weights)
            if self._splittable:
                check_independent_samples(self._loss, self._model, batch)
                if not known:
                    self._check_batches(graphs)
            if not known:
                check_follows_parameters(self._model, self._fresh_copy(), self._loss, batch)
                self._check_products(graphs, batch)
        self._checked.add(shapes)

    def _check_repeats(self, graphs: Graphs, batch: Batch, weights: Tensor) -> None:
        direction = [torch.ones_like(p) for p in self._named.values()]
        at = range(len(direction))
        check_deterministic(
            lambda: flat(
                graphs.preparation.build(batch, weights).product(direction, at, keep=False)
            )
        )

    def _check_batches(self, graphs: Graphs) -> None:
        """Compare losses in the first batch, as it is read, with those of samples read alone."""
        batch, _ = next(graphs.batches())
        losses = self._losses(batch)
        check_read_alone(losses, batch, graphs.data, self._model, self._losses)

    def _losses(self, batch: Batch) -> Tensor:
        return self._loss.values(self._model, batch)[0]

    def _check_products(self, graphs: Graphs, batch: Batch) -> None:
        """Compare products with others that need no graph; take a safer way where they differ."""
        sizes = (batch.size, 1) if self._splittable else (batch.size,)
        preparation = graphs.preparation
        safer = preparation.safer_ways()
        while True:
            found = [
                compare_products(
                    self._model,
                    self._loss,
                    batch.rows(slice(size)),
                    tuple(self._named),
                    preparation.laid_out,
                    self._kind,
                )
                for size in sizes
            ]
            worst = max(found, key=lambda discrepancy: discrepancy.size)
            if worst.small:
                return
            if next(safer, None) is None:
                raise incomplete_derivative(self._model, worst)
