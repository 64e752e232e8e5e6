r"""Compute the noise of the classes' gradients, as a mini-batch feels it.

The noise scale tr Σ_c / ‖g_c‖² is the number of samples whose mean gradient is as far from the
class's gradient g_c as that is long (McCandlish et al. 2018, eq. 2.9). Σ_c is the covariance of the
gradients of the class's samples; the squared spread of the gradients of M micro-batches of b
samples, times b, is unbiased for its trace. Over all samples, the noise is that within the classes
and that between them, tr Σ = Σ_c p_c (tr Σ_c + ‖g_c - g‖²).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landscape.analyses.analysis import Precision, Progress, analysis, precision
from landscape.analyses.stability import TrainingStep
from landscape.config import DiagnoseConfig, GradientNoiseConfig
from landscape.curvature.checks import differentiated
from landscape.curvature.memory import GIB, free_bytes
from landscape.errors import InputError, Setting
from landscape.global_state import controlled_state
from landscape.groups import SplitName, split_classes
from landscape.results.gradient_noise import GradientNoise
from landscape.subject.batch import check_finite
from landscape.subject.data import read
from landscape.subject.members import runs_of_classes
from landscape.subject.subject import Subject
from landscape.weight_space.class_gradients import model_over
from landscape.weight_space.counted import counted, shares_of_classes
from landscape.weight_space.inner_products import gram, inner_products, layer_columns

Array = NDArray[np.float64]


@analysis("gradient_noise")
def gradient_noise(
    subject: Subject,
    settings: GradientNoiseConfig = DiagnoseConfig.gradient_noise,
    *,
    trained: TrainingStep | None = None,
    split: SplitName | None = None,
    samples_per_class: int | None = None,
    dtype: Precision = None,
    batch_size: int = 256,
    seed: int = 0,
    progress: Progress | None = None,
) -> GradientNoise:
    """Compute the noise scale of every class's gradient, whole and by layer.

    Gradients 1 and 3 of two samples have the mean 2 and the variance 2:

    >>> import torch
    >>> from landscape import Subject, TensorData
    >>> model = torch.nn.Linear(1, 1, bias=False).double()
    >>> data = TensorData(torch.tensor([[1.0], [3.0]]).double(), torch.tensor([0, 0]))
    >>> found = gradient_noise(Subject(model, data, lambda outputs, _: outputs[:, 0]))
    >>> found.noise, found.scale
    (array([2.]), array([0.5]))

    Args:
        subject: model, data and loss.
        settings: micro-batches, and the batch they are compared with.
        trained: the training's step, whose batch size is compared with by default.
        split: rule that defines head, mid and tail.
        samples_per_class: at most so many samples of a class.
        dtype: precision of the gradients. Default: the model's, single precision at least.
        batch_size: samples a pass, at most.
        seed: of the draw of samples and of the micro-batches.
        progress: called with the name of each class as it starts.

    Raises:
        InputError: gradients that take too much memory, or a loss that is no number.
    """
    own = precision(dtype, subject)
    selection = counted(subject, subject.select_all(samples_per_class, seed))
    products = inner_products(subject, selection, dtype=own, batch_size=batch_size)
    model, parameters = model_over(subject, ("*",), own, "eval")
    _check_memory(settings.parts, parameters, own)
    labels = subject.data.labels[selection.indices]
    shares = shares_of_classes(subject, selection).numpy()
    found = {}
    for c in labels.unique().tolist():
        if progress is not None:
            progress(f"class/{c}")
        members = selection.indices[labels == c]
        generator = torch.Generator().manual_seed(seed)
        order = members[torch.randperm(len(members), generator=generator)]
        found[c] = _spread(subject, model, parameters, order, settings.parts, batch_size)
    layers = tuple(products.layers)
    batch = settings.batch or (None if trained is None else trained.batch_size)
    counts = products.samples.numpy()
    return GradientNoise(
        class_name=np.array(subject.class_names),
        training_count=np.array(subject.class_counts),
        samples=counts,
        share=shares,
        norm=_norms(products.whole, counts),
        noise=_filled(found, counts, lambda one: one.noise),
        noise_sem=_filled(found, counts, lambda one: one.sem),
        distance=_distances(products.whole, shares, counts),
        whole_norm=np.array(np.sqrt(max(shares @ products.whole @ shares, 0.0))),
        batch=np.array(np.nan if batch is None else float(batch)),
        parts=_filled(found, counts, lambda one: one.parts, missing=0),
        layer=np.array(layers),
        layer_norm=np.stack([_norms(products.layers[name], counts) for name in layers]),
        layer_noise=np.stack([_filled(found, counts, partial(_of_layer, name)) for name in layers]),
        split=np.array(split_classes(subject.class_counts, split)[0]),
    )


@dataclass(frozen=True)
class _Spread:
    """Trace of the covariance of a class's gradients, and its error."""

    noise: float
    sem: float
    layers: dict[str, float]
    parts: int


@controlled_state()
def _spread(
    subject: Subject,
    model: nn.Module,
    parameters: list[nn.Parameter],
    order: Tensor,
    parts: int,
    batch_size: int,
) -> _Spread:
    """Measure the spread of gradients of micro-batches of equal size, in passes of their parts."""
    columns = layer_columns(model)
    count = min(parts, len(order))
    size = len(order) // count
    if count < 2:
        return _Spread(np.nan, np.nan, dict.fromkeys(columns, np.nan), count)
    own = order[: count * size]
    batches = read(subject.data, own, min(size, batch_size), parameters[0])
    gradients = parameters[0].new_zeros(count, sum(p.numel() for p in parameters))
    for part, batch in runs_of_classes(batches, torch.arange(len(own)) // size):
        each = subject.loss.per_sample(model, batch)
        check_finite(each, batch, "the loss")
        with differentiated("once"):
            found = torch.autograd.grad(each.sum() / size, parameters, materialize_grads=True)
        gradients[part] += torch.cat([one.flatten() for one in found])
    layers = {name: _squares(gradients[:, own]) for name, own in columns.items()}
    squares = sum(layers.values(), np.zeros(count))
    degrees = count - 1
    return _Spread(
        size * squares.sum() / degrees,
        size * squares.std(ddof=1) * np.sqrt(count) / degrees,
        {name: size * float(own.sum()) / degrees for name, own in layers.items()},
        count,
    )


def _squares(rows: Tensor) -> Array:
    """Squared distances of rows to their mean (M,), from their inner products."""
    inner = gram(rows - rows.mean(dim=0))
    found: Array = np.diag(inner).copy()
    return found


def _of_layer(name: str, one: _Spread) -> float:
    return one.layers[name]


def _norms(products: Array, counts: NDArray[np.int64]) -> Array:
    found: Array = np.where(counts > 0, np.sqrt(np.diag(products).clip(min=0)), np.nan)
    return found


def _distances(products: Array, shares: Array, counts: NDArray[np.int64]) -> Array:
    """Squared distances of the classes' gradients to that of all samples."""
    squares = np.diag(products) - 2 * products @ shares + shares @ products @ shares
    found: Array = np.where(counts > 0, squares.clip(min=0), np.nan)
    return found


def _filled(
    found: dict[int, _Spread],
    counts: NDArray[np.int64],
    value: Callable[[_Spread], float],
    missing: float = np.nan,
) -> Array:
    filled: Array = np.full(len(counts), missing)
    for c, one in found.items():
        filled[c] = value(one)
    return filled


def _check_memory(parts: int, parameters: list[nn.Parameter], dtype: torch.dtype) -> None:
    """Check that the micro-batches' gradients of a class fit.

    Raises:
        InputError: they do not.
    """
    size = sum(p.numel() for p in parameters)
    needed, free = 3 * parts * size * dtype.itemsize, free_bytes(parameters[0].device)
    if free is not None and free < needed:
        raise InputError(
            f"gradients of {parts} micro-batches over {size} parameters take {needed / GIB:.3g} "
            f"GiB, and {free / GIB:.3g} are free; lower ",
            Setting("gradient_noise.parts"),
        )
