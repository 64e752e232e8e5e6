"""Compute the gradients of the classes' mean losses.

g_c is the gradient of the mean loss of class c. In eval mode samples do not see each other, so that
class-sorted data give all class gradients for the price of one pass over them. In train mode
BatchNorm ties a batch together: one forward pass, then one backward pass a class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landscape.curvature.checks import (
    check_follows_parameters,
    check_gradient_path,
    differentiated,
)
from landscape.errors import InputError, Setting
from landscape.global_state import controlled_state
from landscape.subject.batch import Batch, check_finite
from landscape.subject.data import read
from landscape.subject.evaluation_copy import BatchNormMode, evaluation_copy, unwrapped
from landscape.subject.parameters import chosen_parameters, weight_of
from landscape.subject.subject import Selection, Subject

Array = NDArray[np.float64]
BUDGET = 8.0  # GiB of the class gradients
_FEW = 8  # samples
_BATCHED_BACKWARD = 16  # class gradients of one pass on a GPU


@dataclass(frozen=True)
class ClassGradients:
    """Gradients of some classes, one row each."""

    rows: Tensor  # (K, P), zero for a class without samples
    loss: Tensor  # (K,) float64 mean loss, NaN without samples
    samples: Tensor  # (K,)


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
    together = _BATCHED_BACKWARD if values.is_cuda and batched else 1
    seeds = torch.eye(len(values), dtype=values.dtype, device=values.device)
    rows = [_backward(values, parameters, seed) for seed in seeds.split(together)]
    return [torch.cat(parts) for parts in zip(*rows, strict=True)]


def _backward(values: Tensor, parameters: Sequence[Tensor], seeds: Tensor) -> list[Tensor]:
    options = {"retain_graph": True, "materialize_grads": True}
    if len(seeds) > 1:
        return list(
            torch.autograd.grad(values, parameters, seeds, is_grads_batched=True, **options)
        )
    return [part[None] for part in torch.autograd.grad(values, parameters, seeds[0], **options)]


@controlled_state()
def class_gradients(
    subject: Subject,
    selection: Selection,
    *,
    parameters: Sequence[str] = ("*",),
    dtype: torch.dtype = torch.float32,
    batch_size: int = 256,
    memory_budget: float = BUDGET,
) -> tuple[ClassGradients, nn.Module]:
    """Compute every class's gradient in eval mode, one pass over class-sorted data.

    Args:
        subject: model, data and loss.
        selection: samples, class by class.
        parameters: names or globs of those differentiated by.
        dtype: precision of the gradients; sums over samples are float64.
        batch_size: samples a pass.
        memory_budget: GiB the K gradients may take.

    Returns:
        The gradients and the judged copy whose trainable parameters their columns are.

    Raises:
        InputError: the gradients exceed the budget.
    """
    model, chosen = model_over(subject, parameters, dtype, "eval", memory_budget)
    classes, size = subject.num_classes, sum(p.numel() for p in chosen)
    device = chosen[0].device
    rows = torch.zeros(classes, size, dtype=dtype, device=device)
    loss = torch.zeros(classes, dtype=torch.float64)
    labels = subject.data.labels[selection.indices]
    with controlled_state():
        for c in range(classes):
            members = selection.indices[labels == c]
            row = torch.zeros(size, dtype=torch.float64, device=device)
            for batch in read(subject.data, members, batch_size, chosen[0]):
                each = subject.loss.per_sample(model, batch)
                check_finite(each, batch, "the loss")
                total = each.sum()
                with differentiated("once"):
                    parts = torch.autograd.grad(total, chosen, materialize_grads=True)
                row += torch.cat([part.flatten() for part in parts])
                loss[c] += float(total.detach())
            rows[c] = row / max(len(members), 1)
    samples = torch.bincount(labels, minlength=classes)
    return ClassGradients(rows, loss / samples, samples), model


def model_over(
    subject: Subject,
    names: Sequence[str],
    dtype: torch.dtype,
    bn: BatchNormMode,
    memory_budget: float,
) -> tuple[nn.Module, list[nn.Parameter]]:
    """Copy the model with only the named parameters trainable.

    Raises:
        InputError: no parameter has such a name, or the K gradients exceed the budget (GiB).
    """
    model = evaluation_copy(subject.model, dtype, bn)
    matching = chosen_parameters(model, names)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in matching)
    chosen = list(matching.values())
    classes, size = subject.num_classes, sum(p.numel() for p in chosen)
    needed = classes * size * dtype.itemsize / 2**30
    if needed > memory_budget:
        raise InputError(
            f"gradients of {classes} classes over {size} parameters take {needed:.1f} GiB, and the "
            f"budget is {memory_budget:g}; name fewer with ",
            Setting("gradients.parameters"),
        )
    _check_on_few(subject, model, evaluation_copy(subject.model, dtype, bn), matching)
    return model, chosen


@controlled_state()
def _check_on_few(
    subject: Subject, model: nn.Module, fresh: nn.Module, named: Mapping[str, nn.Parameter]
) -> None:
    """See on a few samples that the loss follows the parameters, and has gradients."""
    few = (subject.data.labels >= 0).nonzero().flatten()[:_FEW]
    batch = next(read(subject.data, few, len(few), weight_of(model)))
    check_gradient_path(model, subject.loss, batch, unwrapped(subject.model), named)
    check_follows_parameters(model, fresh, subject.loss, batch)


def layer_columns(model: nn.Module) -> dict[str, slice]:
    """Find the columns of each group of layers: top-level modules, stages of a backbone apart."""
    found: dict[str, slice] = {}
    start = 0
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        words = name.split(".")
        group = words[1] if words[0] == "backbone" else words[0]
        stop = start + parameter.numel()
        found[group] = slice(found[group].start if group in found else start, stop)
        start = stop
    return found


def rows_of_batch(
    subject: Subject, model: nn.Module, batch: Batch, labels: Tensor
) -> tuple[Tensor, Array]:
    """Return a mini-batch's class gradients (K, P), zero where absent, and mean losses (K,)."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    weight = parameters[0]
    with controlled_state():
        each = subject.loss.per_sample(model, batch)
        check_finite(each, batch, "the loss")
        present, means = _class_means(each, labels.to(each.device), subject.num_classes)
        with differentiated("once"):
            parts = gradients_of(means[present], parameters)
    rows = torch.zeros(len(present), sum(p.numel() for p in parameters), dtype=weight.dtype)
    rows[present.cpu()] = torch.cat([p.flatten(1) for p in parts], dim=1).cpu()
    return rows, means.detach().double().cpu().numpy()


def _class_means(each: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    members = nn.functional.one_hot(labels, classes).to(each).T
    counts = members.sum(dim=1)
    # not 0/0 for an absent class: its slope would be no number for the others too
    return counts > 0, (members @ each) / counts.clamp(min=1)
