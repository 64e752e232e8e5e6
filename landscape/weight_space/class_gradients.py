"""Compute the gradients of the classes' mean losses.

g_c is the gradient of the mean loss of class c, over its samples whose target is not ignored. In
eval mode samples do not see each other, so that class-sorted data give all class gradients for the
price of one pass over them. In train mode BatchNorm ties a batch together: one forward pass, then
one backward pass a class.

Where the K gradients of P parameters exceed the memory budget they are taken a block of columns at
a time, at the price of a pass over the data for each block.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise

import torch
from torch import Tensor, nn

from landscape.curvature.checks import (
    check_follows_parameters,
    check_gradient_path,
    differentiated,
)
from landscape.curvature.independence import check_read_alone
from landscape.curvature.memory import GIB, free_bytes
from landscape.distributed import least, own_part, summed_together
from landscape.errors import InputError, Setting
from landscape.global_state import controlled_state
from landscape.subject.batch import Batch, check_finite
from landscape.subject.data import read
from landscape.subject.evaluation_copy import BatchNormMode, evaluation_copy, unwrapped
from landscape.subject.members import runs_of_classes
from landscape.subject.out_of_memory import in_batches
from landscape.subject.parameters import chosen_parameters, weight_of
from landscape.subject.subject import Selection, Subject
from landscape.weight_space.counted import counted

BUDGET = 8.0  # GiB of the class gradients held at once
_FEW = 8  # samples
_BATCHED_BACKWARD = 16  # class gradients of one pass on a GPU
_WORKING = 32  # bytes a column beside the rows: a float64 sum, its increment, and the gradient


@dataclass(frozen=True)
class ClassGradients:
    """Gradients of some classes, one row each."""

    rows: Tensor  # (K, P), zero for a class without samples
    loss: Tensor  # (K,) float64 mean loss, NaN without samples
    samples: Tensor  # (K,) that count


def gradients_of(
    values: Tensor, parameters: Sequence[Tensor], *, batched: bool = True
) -> list[Tensor]:
    """Return the gradient of each value, one tensor (C, …) a parameter; the graph is kept.

    On a GPU, where launching kernels dominates, some backward passes are batched into one.

    Args:
        values: (C,) of one graph.
        parameters: those differentiated by.
        batched: whether the graph allows it; that of a compiled function does not.
    """
    rows = [_backward(values, parameters, seeds) for _, seeds in _seeds(values, batched)]
    return [torch.cat(parts) for parts in zip(*rows, strict=True)]


def _seeds(values: Tensor, batched: bool = True) -> Iterator[tuple[slice, Tensor]]:
    """Unit vectors to pull back, as many as go through a graph together."""
    together = _BATCHED_BACKWARD if values.is_cuda and batched else 1
    seeds = torch.eye(len(values), dtype=values.dtype, device=values.device)
    for start in range(0, len(values), together):
        yield slice(start, start + together), seeds[start : start + together]


def _backward(values: Tensor, parameters: Sequence[Tensor], seeds: Tensor) -> list[Tensor]:
    options = {"retain_graph": True, "materialize_grads": True}
    if len(seeds) > 1:
        found = torch.autograd.grad(values, parameters, seeds, is_grads_batched=True, **options)
        return [part.detach() for part in found]
    # torch 2.6 makes up zeros that require gradients
    found = torch.autograd.grad(values, parameters, seeds[0], **options)
    return [part.detach()[None] for part in found]


@controlled_state()
def class_gradients(
    subject: Subject,
    selection: Selection,
    *,
    parameters: Sequence[str] = ("*",),
    dtype: torch.dtype = torch.float32,
    batch_size: int = 256,
    memory_budget: float = BUDGET,
    columns: slice | None = None,
) -> tuple[ClassGradients, nn.Module]:
    """Compute every class's gradient in eval mode, one pass over class-sorted data.

    Args:
        subject: model, data and loss.
        selection: samples.
        parameters: names or globs of those differentiated by.
        dtype: precision of the gradients; sums over samples are float64.
        batch_size: samples a pass.
        memory_budget: GiB the K gradients may take.
        columns: those wanted of the P; default: all.

    Returns:
        The gradients and the judged copy whose trainable parameters their columns are.

    Raises:
        InputError: the gradients exceed the budget, or a loss is no number or has no gradient.
    """
    selection = counted(subject, selection)
    model, chosen = model_over(subject, parameters, dtype, "eval")
    classes, size = subject.num_classes, sum(p.numel() for p in chosen)
    columns = columns or slice(0, size)
    if columns.stop - columns.start > _most_columns(classes, chosen[0], memory_budget):
        raise _beyond_budget(classes, columns.stop - columns.start, dtype, memory_budget)
    try:
        found = in_batches(
            partial(_class_sums, subject, selection, model, chosen, columns), batch_size
        )
    finally:
        _ask_for(chosen, chosen)
    rows, loss = summed_together(*found)
    samples = torch.bincount(subject.data.labels[selection.indices], minlength=classes)
    return ClassGradients(rows, loss / samples, samples), model


def _class_sums(
    subject: Subject,
    selection: Selection,
    model: nn.Module,
    chosen: Sequence[nn.Parameter],
    columns: slice,
    batch_size: int,
) -> tuple[Tensor, Tensor]:
    """Compute this process's part of the gradients (K, n) and of the sums of losses (K,)."""
    classes = subject.num_classes
    cuts = _cuts(chosen, columns)
    _ask_for(chosen, [cut.of for cut in cuts])  # so that there is no graph below the lowest one
    asked = {name: p for name, p in model.named_parameters() if p.requires_grad}
    rows = chosen[0].new_zeros(classes, columns.stop - columns.start)
    row = torch.zeros_like(rows[0], dtype=torch.float64)
    loss = torch.zeros(classes, dtype=torch.float64)
    labels, order = subject.data.labels[selection.indices].sort(stable=True)
    samples = torch.bincount(labels, minlength=classes)
    own, labels = own_part(selection.indices[order]), own_part(labels)
    batches = read(subject.data, own, batch_size, chosen[0])
    first = True
    for c, parts in groupby(runs_of_classes(batches, labels), lambda run: run[0]):
        row.zero_()
        for _, batch in parts:
            each = subject.loss.per_sample(model, batch)
            check_finite(each, batch, "the loss")
            if first:
                check_read_alone(each, batch, subject.data, model, partial(_losses, subject, model))
                first = False
            total = each.sum()
            loss[c] += float(total.detach())
            if not total.requires_grad:  # it may depend on the parameters of other columns alone
                check_gradient_path(model, subject.loss, batch, unwrapped(subject.model), asked)
                continue
            with differentiated("once"):
                found = torch.autograd.grad(total, [cut.of for cut in cuts], materialize_grads=True)
            for cut, part in zip(cuts, found, strict=True):
                row[cut.to] += part.detach().flatten()[cut.at]
        rows[c] = row / samples[c]
    return rows, loss


def _losses(subject: Subject, model: nn.Module, batch: Batch) -> Tensor:
    return subject.loss.values(model, batch)[0]


def _ask_for(parameters: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
    asked = set(map(id, wanted))
    for parameter in parameters:
        parameter.requires_grad_(id(parameter) in asked)


def model_over(
    subject: Subject, names: Sequence[str], dtype: torch.dtype, bn: BatchNormMode
) -> tuple[nn.Module, list[nn.Parameter]]:
    """Copy the model with only the named parameters trainable.

    Raises:
        InputError: no parameter has such a name.
    """
    model = evaluation_copy(subject.model, dtype, bn)
    matching = chosen_parameters(model, names)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in matching)
    _check_on_few(subject, model, evaluation_copy(subject.model, dtype, bn), matching)
    return model, list(matching.values())


@controlled_state()
def _check_on_few(
    subject: Subject, model: nn.Module, fresh: nn.Module, named: Mapping[str, nn.Parameter]
) -> None:
    """See on a few samples that the loss follows the parameters, and has gradients."""
    few = (subject.data.labels >= 0).nonzero().flatten()[:_FEW]
    batch = next(read(subject.data, few, len(few), weight_of(model)))
    check_gradient_path(model, subject.loss, batch, unwrapped(subject.model), named)
    check_follows_parameters(model, fresh, subject.loss, batch)


def column_blocks(classes: int, parameters: Sequence[Tensor], memory_budget: float) -> list[slice]:
    """Split the columns of ``classes`` gradients into blocks that fit the budget (GiB).

    Raises:
        InputError: not even one column does.
    """
    size = sum(p.numel() for p in parameters)
    most = _most_columns(classes, parameters[0], memory_budget)
    if most < 1:
        raise _beyond_budget(classes, size, parameters[0].dtype, memory_budget)
    count = -(-size // most)
    edges = [size * k // count for k in range(count + 1)]
    return [slice(*pair) for pair in pairwise(edges)]


def _most_columns(classes: int, like: Tensor, memory_budget: float) -> int:
    """Columns that fit the budget; on a GPU, half of its free memory at most."""
    budget = memory_budget * GIB
    if like.is_cuda:
        budget = min(budget, (free_bytes(like.device) or 0) / 2)
    return least(int(budget / (classes * like.itemsize + _WORKING)))


def _beyond_budget(classes: int, size: int, dtype: torch.dtype, memory_budget: float) -> InputError:
    needed = size * (classes * dtype.itemsize + _WORKING) / GIB
    return InputError(
        f"gradients of {classes} classes over {size} parameters take {needed:.1f} GiB, and the "
        f"budget is {memory_budget:g}; name fewer with ",
        *(Setting("gradients.parameters"), ", or raise ", Setting("gradients.memory_budget")),
    )


@dataclass(frozen=True)
class _Cut:
    """The part of a parameter that lies in a block of columns."""

    of: Tensor
    at: slice  # of the flat parameter
    to: slice  # of the block


def _cuts(parameters: Sequence[Tensor], columns: slice) -> list[_Cut]:
    found, start = [], 0
    for parameter in parameters:
        stop = start + parameter.numel()
        low, high = max(start, columns.start), min(stop, columns.stop)
        if low < high:
            to = slice(low - columns.start, high - columns.start)
            found.append(_Cut(parameter, slice(low - start, high - start), to))
        start = stop
    return found


def rows_of_values(values: Tensor, parameters: Sequence[Tensor], columns: slice) -> Tensor:
    """Compute the gradients of some values (C,) of one graph, in a block of columns (C, n)."""
    cuts = _cuts(parameters, columns)
    rows = parameters[0].new_zeros(len(values), columns.stop - columns.start)
    for at, seeds in _seeds(values):
        with differentiated("once"):
            found = _backward(values, [cut.of for cut in cuts], seeds)
        for cut, part in zip(cuts, found, strict=True):
            rows[at, cut.to] = part.flatten(1)[:, cut.at]
    return rows
