"""Compute similarity, conflicts and norm ratios of class gradients (PLOT Def. 2.1 and 2.2).

g_0 is the average over classes of their gradients g_c; a pair of classes is in conflict when the
cosine of their gradients is negative, and the conflict is dominated when the shorter one opposes
g_0. Since long gradients rule g_0, both are also given for gradients of unit length.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscape.analyses.analysis import Precision, analysis, precision
from landscape.config import DiagnoseConfig, GradientsConfig
from landscape.errors import InputError, Setting
from landscape.global_state import run
from landscape.results.gradients import Gradients
from landscape.subject.batch import Batch, tensors
from landscape.subject.data import read
from landscape.subject.evaluation_copy import BatchNormMode
from landscape.subject.subject import Selection, Subject
from landscape.weight_space.class_gradients import (
    BUDGET,
    ClassGradients,
    class_gradients,
    layer_columns,
    model_over,
    rows_of_batch,
)

Follow = Callable[[Tensor, Tensor], list[Tensor]]  # a batch -> what the rule would follow
Array = NDArray[np.float64]


def _of_all_samples(
    subject: Subject,
    selection: Selection,
    parameters: Sequence[str],
    dtype: torch.dtype,
    batch_size: int,
) -> Gradients:
    """Compare the class gradients over all selected samples, in eval mode."""
    found, model = class_gradients(
        subject, selection, parameters=parameters, dtype=dtype, batch_size=batch_size
    )
    columns = layer_columns(model)
    shares = torch.tensor(subject.class_counts, dtype=torch.float64)
    grams = {name: _gram(found.rows[:, part]) for name, part in columns.items()}
    present = (found.samples > 0).numpy()
    whole = Comparison.of(np.sum(list(grams.values()), axis=0), present, shares.numpy())
    layers = [Comparison.of(g, present) for g in grams.values()]
    return _record(subject, found, whole, layers, list(columns), batches=1, mode="eval")


def _of_batches(
    subject: Subject,
    settings: GradientsConfig,
    dtype: torch.dtype,
    batch_size: int,
    seed: int,
    direction: Follow | None,
) -> Gradients:
    """Compare class gradients within mini-batches of an epoch, and average over these."""
    bn: BatchNormMode = "batch" if settings.mode == "train" else "eval"
    model, (weight, *_) = model_over(subject, ("*",), dtype, bn, BUDGET)
    columns, classes = layer_columns(model), subject.num_classes
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(subject.data.labels), generator=generator)
    order = order[subject.data.labels[order] >= 0]  # the others belong to no class
    chosen = order[: settings.batches * batch_size]
    wholes, layers, losses, cosines = [], [], [], []
    for batch in read(subject.data, chosen, batch_size, weight):
        labels = subject.data.labels[batch.samples]
        rows, means = rows_of_batch(subject, model, batch, labels)
        counts = torch.bincount(labels, minlength=classes).numpy()
        grams = [_gram(rows[:, part]) for part in columns.values()]
        wholes.append(Comparison.of(np.sum(grams, axis=0), counts > 0, counts))
        layers.append([Comparison.of(gram, counts > 0) for gram in grams])
        losses.append(np.where(counts > 0, means, np.nan))
        if direction is not None:
            followed = _followed(direction, batch, rows.shape[1])
            cosines.append(_cosines(rows, followed.to(rows), counts > 0))
    samples = torch.bincount(subject.data.labels[chosen], minlength=classes)
    found = ClassGradients(torch.zeros(0), torch.from_numpy(nanmean(losses)), samples)
    whole, count = Comparison.mean(wholes), len(wholes)
    means_of_layers = [Comparison.mean([row[i] for row in layers]) for i in range(len(columns))]
    record = _record(
        subject, found, whole, means_of_layers, list(columns), batches=count, mode=settings.mode
    )
    if cosines:
        record.similarity_to_direction[:] = nanmean(cosines)
    return record


def _followed(direction: Follow, batch: Batch, size: int) -> Tensor:
    """Compute a rule's direction (P,) on a batch.

    Raises:
        InputError: it raised an error, or gives another number of values.
    """
    parts = tensors(run(direction, *batch, about=batch.described))
    found = torch.cat([part.flatten() for part in parts]) if parts else torch.zeros(0)
    if len(found) != size:
        raise InputError(
            f"the direction has {len(found)} values, and the model {size} trainable parameters; "
            "give one tensor a parameter"
        )
    return found


@dataclass(frozen=True)
class Comparison:
    """Quantities derived from the inner products of class gradients; K classes."""

    similarity: Array  # (K, K)
    spread: Array  # (K, K) standard deviation over batches, NaN for one
    to_mean: Array  # (K,)
    to_unit_mean: Array  # (K,)
    to_batch: Array  # (K,)
    norm: Array  # (K,)
    ratio: Array  # (K,)

    @staticmethod
    def of(gram: Array, present: NDArray[np.bool_], shares: Array | None = None) -> "Comparison":
        """Compare gradients from their Gram matrix.

        Args:
            gram: (K, K) float64.
            present: (K,) classes that have samples.
            shares: (K,) weights of the classes in the gradient of all samples.
        """
        inner = np.where(present[:, None] & present[None, :], gram, np.nan)
        norm = np.sqrt(np.diag(inner))
        even = present / present.sum()
        to_mean, mean_norm = _to_combination(gram, norm, even)
        with np.errstate(invalid="ignore", divide="ignore"):
            unit = np.where(norm > 0, even / norm, 0.0)
        to_unit_mean, _ = _to_combination(gram, norm, unit)
        weights = present * (even if shares is None else shares)
        to_batch, _ = _to_combination(gram, norm, weights / weights.sum())
        with np.errstate(invalid="ignore", divide="ignore"):
            similarity = inner / np.outer(norm, norm)
            ratio = norm / mean_norm
        np.clip(similarity, -1, 1, out=similarity)
        spread = np.full_like(similarity, np.nan)
        return Comparison(similarity, spread, to_mean, to_unit_mean, to_batch, norm, ratio)

    @staticmethod
    def mean(batches: "Sequence[Comparison]") -> "Comparison":
        """Average over batches, each class over those that hold it."""
        parts = {
            name: nanmean([getattr(b, name) for b in batches])
            for name in ("similarity", "to_mean", "to_unit_mean", "to_batch", "norm", "ratio")
        }
        stacked = np.stack([b.similarity for b in batches])
        counts = np.isfinite(stacked).sum(axis=0)
        squares = np.nansum((stacked - parts["similarity"]) ** 2, axis=0)
        spread = np.where(counts > 1, np.sqrt(squares / np.maximum(counts - 1, 1)), np.nan)
        return Comparison(spread=spread, **parts)

    def conflicts(self) -> tuple[int, int, int, int]:
        """Count pairs: in conflict, dominated, dominated by unit gradients, compared."""
        upper = np.triu_indices(len(self.norm), 1)
        cosines = self.similarity[upper]
        one, other = upper
        shorter = np.where(self.norm[one] < self.norm[other], one, other)
        conflict = cosines < 0
        return (
            int(conflict.sum()),
            int((conflict & (self.to_mean[shorter] < 0)).sum()),
            int((conflict & (self.to_unit_mean[shorter] < 0)).sum()),
            int(np.isfinite(cosines).sum()),
        )


def nanmean(parts: Sequence[Array]) -> Array:
    """Average arrays of one shape, each entry over the finite ones."""
    stacked = np.stack(parts)
    counts = np.isfinite(stacked).sum(axis=0)
    total = np.nansum(stacked, axis=0)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def _with_direction(settings: GradientsConfig, arguments: Mapping[str, Any]) -> GradientsConfig:
    """Store whether a rule's direction is compared with."""
    return replace(settings, direction=arguments["direction"] is not None)


@analysis("gradients", _with_direction)
def gradients(
    subject: Subject,
    settings: GradientsConfig = DiagnoseConfig.gradients,
    *,
    direction: Follow | None = None,
    samples_per_class: int | None = None,
    dtype: Precision = None,
    batch_size: int = 256,
    seed: int = 0,
) -> Gradients:
    """Compare the gradients of the classes: cosines, conflicts, norms, by layer.

    Two classes whose targets lie on either side of the output pull against each other:

    >>> import torch
    >>> from landscape import Subject, TensorData
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> model.weight.data.fill_(0.0)
    tensor([[0.]])
    >>> data = TensorData(torch.ones(2, 1), torch.tensor([0, 1]), torch.tensor([-1.0, 1.0]))
    >>> subject = Subject(model, data, lambda outputs, t: (outputs[:, 0] - t) ** 2)
    >>> found = gradients(subject)
    >>> found.norm, float(found.similarity[0, 1]), int(found.conflicts)
    (array([2., 2.]), -1.0, 1)

    Args:
        subject: model, data and loss.
        settings: parameters, or mini-batches and their mode.
        direction: from inputs and labels of a mini-batch to the direction that a training rule
            follows there, one tensor a trainable parameter.
        samples_per_class: at most so many samples of a class; mini-batches take all.
        dtype: precision of the gradients; inner products are float64. Default: the model's own,
            single precision at least.
        batch_size: samples a pass, or a mini-batch.
        seed: of the draw of samples, or the order of mini-batches.

    Raises:
        InputError: a value out of range, or gradients that take too much memory.
    """
    chosen = precision(dtype, subject)
    if settings.batches:
        return _of_batches(subject, settings, chosen, batch_size, seed, direction)
    if direction is not None:
        raise InputError(
            "the direction of a rule is compared on mini-batches; give ",
            Setting("gradients.batches"),
            ", too",
        )
    selection = subject.select_all(samples_per_class, seed)
    return _of_all_samples(subject, selection, settings.parameters, chosen, batch_size)


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


def _to_combination(gram: Array, norm: Array, weights: Array) -> tuple[Array, float]:
    """Compute the cosine of each gradient with Σ w_c g_c (K,), and the norm of this sum."""
    inner = gram @ weights
    length = float(np.sqrt(np.maximum(weights @ inner, 0.0)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(inner / (norm * length), -1, 1), length
