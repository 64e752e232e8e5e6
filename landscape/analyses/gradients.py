"""Compute similarity, conflicts and norm ratios of class gradients (PLOT Def. 2.1 and 2.2).

g_0 is the average over classes of their gradients g_c; a pair of classes is in conflict when the
cosine of their gradients is negative, and the conflict is dominated when the shorter one opposes
g_0. Since long gradients rule g_0, both are also given for gradients of unit length.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscape.analyses.analysis import Precision, analysis, precision
from landscape.analyses.gradient_comparison import Averages, Comparison
from landscape.config import DiagnoseConfig, GradientsConfig
from landscape.errors import InputError, Setting
from landscape.global_state import run
from landscape.results.gradients import Gradients
from landscape.subject.batch import Batch, tensors
from landscape.subject.data import read
from landscape.subject.evaluation_copy import BatchNormMode
from landscape.subject.subject import Selection, Subject
from landscape.weight_space.class_gradients import model_over
from landscape.weight_space.counted import counted_labels, shares_of_classes
from landscape.weight_space.inner_products import (
    InnerProducts,
    inner_products,
    products_of_batch,
)

Follow = Callable[[Tensor, Tensor], list[Tensor]]  # a batch -> what the rule would follow


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
    shares = shares_of_classes(subject, selection).numpy()
    whole = Comparison.of(found.whole, present, shares)
    layers = {name: Comparison.of(part, present) for name, part in found.layers.items()}
    return _record(subject, found, shares, whole, layers, batches=1, mode="eval")


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
    model, parameters = model_over(subject, ("*",), dtype, bn)
    size = sum(p.numel() for p in parameters)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(subject.data.labels), generator=generator)
    order = order[subject.data.labels[order] >= 0]  # the others belong to no class
    chosen = order[: settings.batches * batch_size]
    labels, classes = counted_labels(subject), subject.num_classes
    samples = torch.bincount(labels[chosen].clamp(min=-1) + 1, minlength=classes + 1)[1:]
    if not samples.any():
        raise InputError(
            f"the target of each of the {len(chosen)} samples is ignored; take more with ",
            Setting("gradients.batches"),
        )
    whole = Averages(classes, spread=True)
    layers = defaultdict[str, Averages](lambda: Averages(classes))
    count = 0
    for batch in read(subject.data, chosen, batch_size, parameters[0]):
        own = labels[batch.samples]
        if not (own >= 0).any():
            continue
        count += 1
        followed = None if direction is None else _followed(direction, batch, size)
        found = products_of_batch(
            subject, model, batch, own, direction=followed, memory_budget=settings.memory_budget
        )
        length = np.nan if followed is None else float(followed.double().norm())
        present = own[own >= 0].unique()
        _add(found, present, _class_weights(subject)[present], length, whole, layers)
    found = InnerProducts({}, np.zeros(0), whole.mean("loss"), samples)
    averages = {name: layer.comparison() for name, layer in layers.items()}
    weights = samples.double() * _class_weights(subject)
    shares = (weights / weights.sum()).numpy()
    record = _record(
        subject, found, shares, whole.comparison(), averages, batches=count, mode=settings.mode
    )
    record.similarity_to_direction[:] = whole.mean("cosine")
    return record


def _class_weights(subject: Subject) -> Tensor:
    """Weights of the classes in the mean loss (K,), float64."""
    given = subject.loss.class_weights
    even = torch.ones(subject.num_classes, dtype=torch.float64)
    return even if given is None else given[: len(even)].cpu().double()


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


def _add(
    found: InnerProducts,
    present: Tensor,
    weights: Tensor,
    length: float,
    whole: Averages,
    layers: Mapping[str, Averages],
) -> None:
    """Add a mini-batch; ``length`` is that of the direction followed, NaN without one."""
    counts, at = found.samples.numpy(), present.numpy()
    one = Comparison.of(found.whole, counts > 0, counts * weights.numpy())
    with np.errstate(invalid="ignore"):
        cosine = found.along / (one.norm * length)
    whole.add(at, one, loss=found.loss, cosine=cosine)
    for name, part in found.layers.items():
        layers[name].add(at, Comparison.of(part, counts > 0))


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
    shares: NDArray[np.float64],
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
        share=shares,
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
