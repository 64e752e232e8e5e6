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
from landscape.results.gradients import Gradients
from landscape.subject.subject import Selection, Subject
from landscape.weight_space.class_gradients import model_over
from landscape.weight_space.inner_products import (
    InnerProducts,
    inner_products,
    products_of_batch,
)

Follow = Callable[[Tensor, Tensor], list[Tensor]]  # a batch -> what the rule would follow
Array = NDArray[np.float64]


def _of_all_samples(
    subject: Subject,
    selection: Selection,
    settings: GradientsConfig,
    dtype: torch.dtype,
    batch_size: int,
) -> Gradients:
    """Compare the class gradients over all selected samples, in eval mode."""
    found = inner_products(
        subject,
        selection,
        parameters=settings.parameters,
        dtype=dtype,
        batch_size=batch_size,
        memory_budget=settings.memory_budget,
    )
    present = (found.samples > 0).numpy()
    whole = Comparison.of(found.whole, present, np.array(subject.class_counts, dtype=np.float64))
    layers = {name: Comparison.of(part, present) for name, part in found.layers.items()}
    return _record(subject, found, whole, layers, batches=1, mode="eval")


def _of_batches(
    subject: Subject,
    settings: GradientsConfig,
    dtype: torch.dtype,
    batch_size: int,
    seed: int,
    direction: Follow | None,
) -> Gradients:
    """Compare class gradients within mini-batches of an epoch, and average over these."""
    model, _ = model_over(subject, ("*",), dtype, "batch" if settings.mode == "train" else "eval")
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(subject.data.labels), generator=generator)
    chosen = order[: settings.batches * batch_size]
    labels, seen = subject.data.labels[chosen], list[_Seen]()
    at = 0
    for batch in subject.data.batches(chosen, batch_size):
        own = labels[at : at + len(batch[0])]
        at += len(own)
        followed = None
        if direction is not None:
            followed = torch.cat([part.flatten() for part in direction(*batch)])
        found = products_of_batch(
            subject,
            model,
            batch,
            own,
            direction=followed,
            memory_budget=settings.memory_budget,
        )
        seen.append(_Seen.of(found, followed))
    return _averaged(subject, seen, torch.bincount(labels, minlength=subject.num_classes), settings)


@dataclass(frozen=True)
class _Seen:
    """What is kept of a mini-batch."""

    whole: "Comparison"
    layers: "dict[str, Comparison]"
    loss: Array  # (K,)
    cosines: Array  # (K,) with the direction followed; NaN without one

    @staticmethod
    def of(found: InnerProducts, followed: Tensor | None) -> "_Seen":
        """Compare the class gradients of a mini-batch."""
        counts = found.samples.numpy()
        whole = Comparison.of(found.whole, counts > 0, counts)
        layers = {name: Comparison.of(part, counts > 0) for name, part in found.layers.items()}
        length = np.nan if followed is None else float(followed.double().norm())
        with np.errstate(invalid="ignore"):
            cosines = found.along / (whole.norm * length)
        return _Seen(whole, layers, found.loss, cosines)


def _averaged(
    subject: Subject, seen: list[_Seen], samples: Tensor, settings: GradientsConfig
) -> Gradients:
    """Average over mini-batches, each class over those that hold it."""
    layers = {name: Comparison.mean([one.layers[name] for one in seen]) for name in seen[0].layers}
    found = InnerProducts({}, np.zeros(0), nanmean([one.loss for one in seen]), samples)
    whole = Comparison.mean([one.whole for one in seen])
    record = _record(subject, found, whole, layers, batches=len(seen), mode=settings.mode)
    record.similarity_to_direction[:] = nanmean([one.cosines for one in seen])
    return record


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
        spread = np.broadcast_to(np.nan, similarity.shape)  # which takes no memory
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
    return _of_all_samples(subject, selection, settings, chosen, batch_size)


def _record(
    subject: Subject,
    found: InnerProducts,
    whole: Comparison,
    layers: dict[str, Comparison],
    *,
    batches: int,
    mode: Literal["eval", "train"],
) -> Gradients:
    conflicts, dominated, dominated_unit, pairs = whole.conflicts()
    return Gradients(
        class_name=np.array(subject.class_names),
        training_count=np.array(subject.class_counts),
        samples=found.samples.numpy(),
        loss=found.loss,
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
        layer=np.array(list(layers)),
        layer_similarity=np.stack([layer.similarity for layer in layers.values()]),
        layer_norm=np.stack([layer.norm for layer in layers.values()]),
        layer_similarity_to_mean=np.stack([layer.to_mean for layer in layers.values()]),
    )


def _to_combination(gram: Array, norm: Array, weights: Array) -> tuple[Array, float]:
    """Compute the cosine of each gradient with Σ w_c g_c (K,), and the norm of this sum."""
    inner = gram @ weights
    length = float(np.sqrt(np.maximum(weights @ inner, 0.0)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(inner / (norm * length), -1, 1), length
