"""Class gradients: similarity, conflicts, norm ratios (PLOT Def. 2.1 and 2.2).

g_c is the gradient of the mean loss of class c. In eval mode samples do not see each other, so that
class-sorted data give all class gradients for the price of one pass over them. In train mode
BatchNorm ties a batch together: one forward pass, then one backward pass a class, averaged over the
mini-batches of an epoch. g_0 is the average over classes; a pair is in conflict when its cosine is
negative, and the conflict is dominated when the shorter one opposes g_0. Since long gradients rule
g_0, both are also given for gradients of unit length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landscape.comparison import Comparison, nanmean
from landscape.errors import InputError
from landscape.results.load import Gradients
from landscape.subject.evaluation_copy import BatchNormMode, fitted, full_precision, judged_copy
from landscape.subject.subject import Selection, Subject

Array = NDArray[np.float64]
Follow = Callable[[Tensor, Tensor], list[Tensor]]  # a batch -> what the rule would follow
_BUDGET = 8.0  # GiB of the class gradients
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


def class_gradients(
    subject: Subject,
    selection: Selection,
    *,
    parameters: Sequence[str] = ("*",),
    dtype: torch.dtype = torch.float32,
    batch_size: int = 256,
    memory_budget: float = _BUDGET,
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
    model, chosen = _model_over(subject, parameters, dtype, "eval", memory_budget)
    classes, size = subject.num_classes, sum(p.numel() for p in chosen)
    device = chosen[0].device
    rows = torch.zeros(classes, size, dtype=dtype, device=device)
    loss = torch.zeros(classes, dtype=torch.float64)
    labels = subject.data.labels[selection.indices]
    with full_precision():
        for c in range(classes):
            members = selection.indices[labels == c]
            row = torch.zeros(size, dtype=torch.float64, device=device)
            for inputs, targets in subject.data.batches(members, batch_size):
                batch = fitted(inputs, chosen[0]), fitted(targets, chosen[0])
                total = subject.loss.per_sample(model, batch).sum()
                parts = torch.autograd.grad(total, chosen, materialize_grads=True)
                row += torch.cat([part.flatten() for part in parts])
                loss[c] += float(total.detach())
            rows[c] = row / max(len(members), 1)
    samples = torch.bincount(labels, minlength=classes)
    return ClassGradients(rows, loss / samples, samples), model


def _model_over(
    subject: Subject,
    names: Sequence[str],
    dtype: torch.dtype,
    bn: BatchNormMode,
    memory_budget: float,
) -> tuple[nn.Module, list[nn.Parameter]]:
    """Copy the model with only the named parameters trainable; refuse K gradients too large."""
    model = judged_copy(subject.model, dtype, bn)
    for name, parameter in model.named_parameters():
        if not any(fnmatchcase(name, glob) for glob in names):
            parameter.requires_grad_(False)
    chosen = [p for p in model.parameters() if p.requires_grad]
    if not chosen:
        raise InputError(f"no trainable parameter is called {' or '.join(names)}")
    classes, size = subject.num_classes, sum(p.numel() for p in chosen)
    needed = classes * size * dtype.itemsize / 2**30
    if needed > memory_budget:
        raise InputError(
            f"gradients of {classes} classes over {size} parameters take {needed:.1f} GiB, and the "
            f"budget is {memory_budget:g}; name fewer with --gradients.parameters"
        )
    return model, chosen


def layer_columns(model: nn.Module) -> dict[str, slice]:
    """Columns of each group of layers, in order: top-level modules, stages of a backbone apart."""
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


def gradients(
    subject: Subject,
    selection: Selection,
    *,
    parameters: Sequence[str] = ("*",),
    dtype: torch.dtype = torch.float32,
    batch_size: int = 256,
) -> Gradients:
    """Compare the class gradients of a checkpoint over all selected samples, in eval mode.

    Args:
        subject: model, data and loss.
        selection: samples of all classes.
        parameters: names or globs of those differentiated by.
        dtype: precision of the gradients; inner products are float64.
        batch_size: samples a pass.
    """
    found, model = class_gradients(
        subject, selection, parameters=parameters, dtype=dtype, batch_size=batch_size
    )
    columns = layer_columns(model)
    shares = torch.tensor(subject.class_counts, dtype=torch.float64)
    grams = {name: _gram(found.rows[:, part]) for name, part in columns.items()}
    present = (found.samples > 0).numpy()
    whole = Comparison.of(np.sum(list(grams.values()), axis=0), present, shares.numpy())
    return _record(
        subject,
        found,
        whole,
        [Comparison.of(g, present) for g in grams.values()],
        list(columns),
        batches=1,
        mode="eval",
    )


def batch_gradients(
    subject: Subject,
    batches: int,
    *,
    mode: BatchNormMode = "batch",
    batch_size: int = 128,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    follow: Follow | None = None,
) -> Gradients:
    """Compare class gradients within mini-batches of an epoch, and average over these.

    Args:
        subject: model, data and loss.
        batches: mini-batches to look at.
        mode: BatchNorm by each batch's statistics, or by the running ones.
        batch_size: samples a mini-batch.
        seed: of the order.
        dtype: precision.
        follow: gives what a training rule would follow on a batch, one tensor a trainable
            parameter.
    """
    model, _ = _model_over(subject, ("*",), dtype, mode, _BUDGET)
    columns, classes = layer_columns(model), subject.num_classes
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(subject.data.labels), generator=generator)[: batches * batch_size]
    wholes, layers, losses, directions = [], [], [], []
    at = 0
    for inputs, targets in subject.data.batches(order, batch_size):
        labels = subject.data.labels[order[at : at + len(inputs)]]
        at += len(inputs)
        rows, means = _rows_of_batch(subject, model, (inputs, targets), labels)
        counts = torch.bincount(labels, minlength=classes).numpy()
        grams = [_gram(rows[:, part]) for part in columns.values()]
        wholes.append(Comparison.of(np.sum(grams, axis=0), counts > 0, counts))
        layers.append([Comparison.of(gram, counts > 0) for gram in grams])
        losses.append(np.where(counts > 0, means, np.nan))
        if follow is not None:
            direction = torch.cat([d.flatten() for d in follow(inputs, targets)])
            directions.append(_cosines(rows, direction.to(rows), counts > 0))
    samples = torch.bincount(subject.data.labels[order], minlength=classes)
    record = _record(
        subject,
        ClassGradients(torch.zeros(0), torch.from_numpy(nanmean(losses)), samples),
        Comparison.mean(wholes),
        [Comparison.mean([row[i] for row in layers]) for i in range(len(columns))],
        list(columns),
        batches=len(wholes),
        mode="train" if mode == "batch" else "eval",
    )
    if directions:
        record.similarity_to_direction[:] = nanmean(directions)
    return record


def _rows_of_batch(
    subject: Subject, model: nn.Module, batch: tuple[Tensor, Tensor], labels: Tensor
) -> tuple[Tensor, Array]:
    """Return a mini-batch's class gradients (K, P), zero where absent, and mean losses (K,)."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    weight = parameters[0]
    inputs, targets = (fitted(part, weight) for part in batch)
    with full_precision():
        each = subject.loss.per_sample(model, (inputs, targets))
        present, means = _class_means(each, labels.to(each.device), subject.num_classes)
        parts = gradients_of(means[present], parameters)
    rows = torch.zeros(len(present), sum(p.numel() for p in parameters), dtype=weight.dtype)
    rows[present.cpu()] = torch.cat([p.flatten(1) for p in parts], dim=1).cpu()
    return rows, means.detach().double().cpu().numpy()


def _record(
    subject: Subject,
    found: ClassGradients,
    whole: Comparison,
    layers: list[Comparison],
    names: list[str],
    *,
    batches: int,
    mode: Literal["eval", "train"],
) -> Gradients:
    conflicts, dominated, dominated_unit, pairs = whole.conflicts()
    return Gradients(
        class_name=np.array(subject.class_names),
        training_count=np.array(subject.class_counts),
        samples=found.samples.numpy(),
        loss=found.loss.numpy(),
        similarity=whole.similarity,
        similarity_std=whole.spread,
        similarity_to_mean=whole.to_mean,
        similarity_to_unit_mean=whole.to_unit_mean,
        similarity_to_batch=whole.to_batch,
        similarity_to_direction=np.full(len(whole.norm), np.nan),
        norm=whole.norm,
        norm_ratio=whole.ratio,
        conflicts=np.array(conflicts),
        dominated=np.array(dominated),
        dominated_unit=np.array(dominated_unit),
        pairs=np.array(pairs),
        batches=np.array(batches),
        mode=np.array(mode),
        layer=np.array(names),
        layer_similarity=np.stack([layer.similarity for layer in layers]),
        layer_norm=np.stack([layer.norm for layer in layers]),
        layer_similarity_to_mean=np.stack([layer.to_mean for layer in layers]),
    )


def _gram(rows: Tensor) -> Array:
    double = rows.double()
    found: Array = (double @ double.T).cpu().numpy()
    return found


def _cosines(rows: Tensor, direction: Tensor, present: NDArray[np.bool_]) -> Array:
    rows, direction = rows.double(), direction.double()
    inner = rows @ direction / (rows.norm(dim=1) * direction.norm())
    return np.where(present, inner.numpy(), np.nan)


def _class_means(each: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    members = nn.functional.one_hot(labels, classes).to(each).T
    counts = members.sum(dim=1)
    # not 0/0 for an absent class: its slope would be no number for the others too
    return counts > 0, (members @ each) / counts.clamp(min=1)
