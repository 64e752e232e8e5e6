"""What is diagnosed: a model at one point, labelled data, a loss, and the samples spoken of.

A scope's loss is L(w) = Σ_i a_i ℓ_i(w) with Σ_i a_i = 1. The weights a_i are 1/n when every
sample of the scope is used; with a draw of m_c out of n_c samples of class c they are
n_c / (n m_c), so that a group is still weighted by its true class frequencies; class weights
multiply them and are normalised over the whole scope, never per batch.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landscape.errors import InputError
from landscape.groups import SplitName, scope_classes

Batch = tuple[Tensor, Tensor]
BatchNormMode = Literal["eval", "batch"]


class LabelledData(Protocol):
    """Un-augmented samples, addressable by index and read lazily."""

    @property
    def labels(self) -> Tensor:
        """Class of each sample, (N,) int64, on the CPU."""
        ...

    def batches(self, indices: Tensor, batch_size: int) -> Iterator[Batch]:
        """Yield ``(inputs, targets)`` on the device, in the order of ``indices``."""
        ...


@dataclass(frozen=True)
class TensorData:
    """Samples held in memory.

    Args:
        inputs: (N, …) model inputs, on any device.
        labels: (N,) integer classes by which samples are addressed.
        targets: (N, …) what the loss compares with; the labels unless given (soft labels, say).
    """

    inputs: Tensor
    labels: Tensor
    targets: Tensor | None = None

    def batches(self, indices: Tensor, batch_size: int) -> Iterator[Batch]:
        """Yield ``(inputs, targets)`` in the order of ``indices``."""
        targets = self.labels if self.targets is None else self.targets
        for part in indices.split(batch_size):
            at = part.to(self.inputs.device)
            yield self.inputs[at], targets.to(self.inputs.device)[at]


@dataclass(frozen=True)
class Loss:
    """A per-sample loss and the weights of the classes in its mean.

    Args:
        criterion: ``(outputs (B, …), targets (B, …)) -> (B,)``.
        name: how result files call it.
        class_weights: (K,) weight of each class; the scope's mean is Σ w ℓ / Σ w over the whole
            scope. ``None`` weighs samples equally.
        ignore_index: a label whose samples do not count.
        whole: ``(model, batch) -> (B,)`` in place of the criterion, for losses that are not a
            function of the model's outputs.
    """

    criterion: Callable[[Tensor, Tensor], Tensor]
    name: str = "loss"
    class_weights: Tensor | None = None
    ignore_index: int | None = None
    whole: Callable[[nn.Module, Batch], Tensor] | None = None

    @staticmethod
    def of_batch(whole: Callable[[nn.Module, Batch], Tensor], name: str = "loss") -> "Loss":
        """Wrap a per-sample loss ``(model, batch) -> (B,)``."""
        return Loss(lambda outputs, _: outputs, name, whole=whole)

    def per_sample(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the losses (B,) of a batch."""
        if self.whole is not None:
            return self.whole(model, batch)
        inputs, targets = batch
        return self.criterion(model(inputs), targets)


def cross_entropy(
    *,
    class_weights: Tensor | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    logit_factor: float = 1.0,
) -> Loss:
    """Cross-entropy of ``logit_factor`` times the model's outputs; targets may be soft.

    Args:
        class_weights: (K,) weights, normalised over the whole scope.
        ignore_index: label to leave out.
        label_smoothing: share of the uniform distribution mixed into each target.
        logit_factor: factor on the logits, to judge a cosine classifier at another scale.
    """

    def criterion(outputs: Tensor, targets: Tensor) -> Tensor:
        logits = outputs if logit_factor == 1.0 else outputs * logit_factor
        ignored = -100 if ignore_index is None else ignore_index
        return F.cross_entropy(
            logits,
            targets,
            reduction="none",
            ignore_index=ignored,
            label_smoothing=label_smoothing,
        )

    name = "cross_entropy" if logit_factor == 1.0 else f"cross_entropy(logits*{logit_factor:g})"
    return Loss(criterion, name, class_weights, ignore_index)


@dataclass(frozen=True)
class Scope:
    """The set of classes a number speaks of."""

    name: str  # overall, head, mid, tail, class/3
    classes: tuple[int, ...]


@dataclass(frozen=True)
class Selection:
    """The samples of a scope and their weights in its mean loss."""

    indices: Tensor  # (n,) int64, class by class, on the CPU
    weights: Tensor  # (n,) float64, sum 1, on the CPU


@dataclass(frozen=True)
class Subject:
    """What is diagnosed.

    Args:
        model: the network at the parameters to judge; it is never changed.
        data: the labelled samples the loss is taken over, un-augmented.
        loss: per-sample loss; cross-entropy by default.
        class_names: K names; their number fixes K. Default: the labels themselves.
        class_counts: training samples of each class, for tables and groups. Default: counted.
    """

    model: nn.Module
    data: LabelledData
    loss: Loss = field(default_factory=cross_entropy)
    class_names: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        labels = self.data.labels
        if labels.numel() == 0:
            raise InputError("the data hold no sample; give labelled data to diagnose")
        classes = len(self.class_names) or int(labels.max()) + 1
        names = self.class_names or tuple(str(c) for c in range(classes))
        counts = tuple(torch.bincount(labels.clamp(min=0), minlength=classes).tolist())
        object.__setattr__(self, "class_names", names)
        object.__setattr__(self, "class_counts", self.class_counts or counts)

    @property
    def num_classes(self) -> int:
        """Number of classes K."""
        return len(self.class_names)

    def scopes(
        self, names: Sequence[str] = ("classes",), split: SplitName | None = None
    ) -> tuple[Scope, ...]:
        """Resolve scope names; ``classes`` stands for every class, empty groups are left out.

        Raises:
            InputError: a name is not known.
        """
        found = scope_classes(names, self.class_counts, split)
        return tuple(Scope(name, classes) for name, classes in found.items())

    def mixed(self, selection: "Selection", seed: int = 0) -> "Selection":
        """Shuffle a selection once, so that BatchNorm's batches mix its classes."""
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(selection.indices), generator=generator)
        return Selection(selection.indices[order], selection.weights[order])

    def select(
        self, scope: Scope, samples_per_class: int | None = None, seed: int = 0
    ) -> Selection:
        """Choose the samples of a scope and their weights.

        Args:
            scope: the classes.
            samples_per_class: at most so many of each class, drawn without replacement from a
                generator seeded by ``seed`` and the class; the same draw for every scope.
            seed: seed of the draw.

        Raises:
            InputError: a single-class scope has no samples, or no class of the scope has any.
        """
        indices, weights = [], []
        for c in scope.classes:
            members = (self.data.labels == c).nonzero().flatten()
            kept = _draw(members, samples_per_class, seed, c)
            indices.append(kept)
            share = len(members) / max(len(kept), 1)
            weights.append(torch.full((len(kept),), share, dtype=torch.float64))
        chosen, weight = torch.cat(indices), torch.cat(weights)
        if self.loss.class_weights is not None:
            weight = weight * self.loss.class_weights.cpu().double()[self.data.labels[chosen]]
        if self.loss.ignore_index is not None:
            weight = weight * (self.data.labels[chosen] != self.loss.ignore_index)
        if chosen.numel() == 0 or float(weight.sum()) <= 0:
            raise InputError(
                f"scope '{scope.name}' has no samples with weight in these data; "
                "leave it out with --scopes"
            )
        return Selection(chosen, weight / weight.sum())


def judged_copy(
    model: nn.Module,
    dtype: torch.dtype = torch.float32,
    bn: BatchNormMode = "eval",
    *,
    fold_batchnorm: bool = True,
) -> nn.Module:
    """Copy a model for judging: eval mode, given precision, gradients cleared.

    Working on a copy keeps the user's parameters, buffers, gradients and flags untouched. In eval
    mode BatchNorm is an affine map and is computed as one, which halves its double backward.

    Args:
        model: any network.
        dtype: floating type of the copy's parameters and buffers.
        bn: ``batch`` normalises by each batch's statistics, without touching the running ones.
        fold_batchnorm: compute eval-mode BatchNorm as an affine map.
    """
    judged = copy.deepcopy(model).to(dtype).eval()
    for parameter in judged.parameters():
        parameter.grad = None
    for module in judged.modules():
        if not isinstance(module, nn.modules.batchnorm._BatchNorm):
            continue
        if bn == "batch":
            module.train()
            module.track_running_stats = False
        elif fold_batchnorm and module.running_mean is not None:
            module.forward = partial(_affine_batchnorm, module)  # type: ignore[method-assign]
    return judged


@contextmanager
def full_precision() -> Iterator[None]:
    """Switch TF32 off for matrix products and convolutions, and restore the setting after."""
    matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matmul
        torch.backends.cudnn.allow_tf32 = cudnn


def _affine_batchnorm(norm: nn.modules.batchnorm._BatchNorm, x: Tensor) -> Tensor:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = torch.rsqrt(norm.running_var + norm.eps)
    scale = scale if norm.weight is None else norm.weight * scale
    shift = -norm.running_mean * scale
    shift = shift if norm.bias is None else norm.bias + shift
    shape = (-1, *[1] * (x.dim() - 2))
    return torch.addcmul(shift.view(shape), x, scale.view(shape))


def _draw(members: Tensor, most: int | None, seed: int, label: int) -> Tensor:
    if most is None or len(members) <= most:
        return members
    generator = torch.Generator().manual_seed(seed * 1_000_003 + label)
    order = torch.randperm(len(members), generator=generator)[:most]
    return members[order.sort().values]
