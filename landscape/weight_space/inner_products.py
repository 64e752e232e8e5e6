"""Compute the inner products of the classes' gradients, layer by layer.

They are sums over the parameters, so that one block of the gradients' columns is held at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landscape.global_state import controlled_state
from landscape.subject.batch import Batch, check_finite
from landscape.subject.subject import Selection, Subject
from landscape.weight_space.class_gradients import (
    BUDGET,
    class_gradients,
    column_blocks,
    model_over,
    rows_of_values,
)

Array = NDArray[np.float64]
_ENTRIES = 2**22  # of a slice of gradients in float64: 32 MiB
_BAND = 128  # rows of which inner products are taken together


@dataclass(frozen=True)
class InnerProducts:
    """Inner products of the gradients of C classes; zero where one has no samples."""

    layers: dict[str, Array]  # (C, C) of each group of layers
    along: Array  # (C,) with a direction
    loss: Array  # (C,) mean, NaN without samples
    samples: Tensor  # (C,)

    @property
    def whole(self) -> Array:
        """Those over all parameters (C, C)."""
        total = np.zeros_like(next(iter(self.layers.values())))
        for part in self.layers.values():
            total += part
        return total


def inner_products(
    subject: Subject,
    selection: Selection,
    *,
    parameters: Sequence[str] = ("*",),
    dtype: torch.dtype = torch.float32,
    batch_size: int = 256,
    memory_budget: float = BUDGET,
) -> InnerProducts:
    """Compute the inner products of :func:`class_gradients`, by blocks within the budget.

    Args:
        subject: as there, and likewise the rest.
        selection: samples.
        parameters: names or globs.
        dtype: precision of the gradients; products are float64.
        batch_size: samples a pass.
        memory_budget: GiB.

    Raises:
        InputError: the budget does not hold the gradients' entries for a single parameter, or the
            loss has no gradient.
    """
    model, chosen = model_over(subject, parameters, dtype, "eval")
    sums = _Sums(model, subject.num_classes)
    for columns in column_blocks(subject.num_classes, chosen, memory_budget):
        found, _ = class_gradients(
            subject,
            selection,
            parameters=parameters,
            dtype=dtype,
            batch_size=batch_size,
            memory_budget=memory_budget,
            columns=columns,
        )
        sums.add(found.rows, columns)
        loss, samples = found.loss.numpy(), found.samples
        del found  # before the next block is allocated
    return InnerProducts(sums.layers, sums.along, loss, samples)


@controlled_state()
def products_of_batch(
    subject: Subject,
    model: nn.Module,
    batch: Batch,
    labels: Tensor,
    *,
    direction: Tensor | None = None,
    memory_budget: float = BUDGET,
) -> InnerProducts:
    """Compute the inner products of the gradients of the classes that one batch holds.

    Args:
        subject: its loss and its classes.
        model: from :func:`model_over`.
        batch: as read for the model.
        labels: (B,) their classes; below 0 for those that count in none.
        direction: (P,) with which products are taken, too.
        memory_budget: GiB that the gradients of the classes present may take.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    each = subject.loss.per_sample(model, batch)
    check_finite(each, batch, "the loss")
    present, samples = labels[labels >= 0].unique(return_counts=True)
    members = (labels == present[:, None]).to(each)  # on a GPU index_add would not repeat
    means = members @ each / members.sum(dim=1)
    found = _Sums(model, len(samples))
    for columns in column_blocks(len(samples), parameters, memory_budget):
        found.add(rows_of_values(means, parameters, columns), columns, direction)
    loss = means.detach().double().cpu().numpy()
    return InnerProducts(found.layers, found.along, loss, samples)


def layer_columns(model: nn.Module) -> dict[str, slice]:
    """Find the columns of each group of layers: top-level modules, stages of a backbone apart.

    A stage called as a top-level module is, such as ``fc``, is ``backbone.fc``: groups share no
    column, and all together hold every one.
    """
    tops = {name.partition(".")[0] for name, _ in model.named_parameters()}
    found: dict[str, slice] = {}
    start = 0
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        group, *inner = name.split(".")[:2]
        if group == "backbone" and inner:
            group = f"backbone.{inner[0]}" if inner[0] in tops else inner[0]
        stop = start + parameter.numel()
        found[group] = slice(found[group].start if group in found else start, stop)
        start = stop
    return found


class _Sums:
    """Inner products of some classes, block by block of the columns."""

    def __init__(self, model: nn.Module, classes: int) -> None:
        self._columns = layer_columns(model)
        self.layers = {name: np.zeros((classes, classes)) for name in self._columns}
        self.along = np.zeros(classes)

    def add(self, rows: Tensor, columns: slice, direction: Tensor | None = None) -> None:
        """Add those of a block (C, n)."""
        for name, own in self._columns.items():
            low, high = max(own.start, columns.start), min(own.stop, columns.stop)
            if low < high:
                self.layers[name] += gram(rows[:, low - columns.start : high - columns.start])
        if direction is not None:
            along = direction[columns].to(rows.device)
            for part, own in zip(_slices(rows), along.split(_width(rows)), strict=True):
                self.along += (part @ own.double()).cpu().numpy()


def gram(rows: Tensor) -> Array:
    """Compute the inner products of rows (C, n) in float64, slice by slice of the columns."""
    total = rows.new_zeros(len(rows), len(rows), dtype=torch.float64)
    for part in _slices(rows):
        for start in range(0, len(rows), _BAND):  # the other half is the same
            own = slice(start, start + _BAND)
            total[own, start:].addmm_(part[own], part[start:].T)
    found: Array = (total.triu() + total.triu(1).T).cpu().numpy()
    return found


def _slices(rows: Tensor) -> Iterator[Tensor]:
    """Yield some columns at a time in float64."""
    return (part.double() for part in rows.split(_width(rows), dim=1))


def _width(rows: Tensor) -> int:
    return max(_ENTRIES // len(rows), 1)
