"""What is diagnosed: a model at one point, labelled data, a loss, and the samples spoken of.

A scope's loss is L(w) = Σ_i a_i ℓ_i(w) with Σ_i a_i = 1. The weights a_i are 1/n when every
sample of the scope is used; with a draw of m_c out of n_c samples of class c they are
n_c / (n m_c), so that a group is still weighted by its true class frequencies; class weights
multiply them and are normalised over the whole scope, never per batch.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from landscape.classifier import find_classifier, logits_of
from landscape.datasets import class_names_of, dataset_data
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
        criterion: ``(outputs, targets (B, …)) -> (B,)``, of whatever the model returns.
        name: how result files call it.
        class_weights: (K,) weight of each class; the scope's mean is Σ w ℓ / Σ w over the whole
            scope. ``None`` weighs samples equally.
        ignore_index: a label whose samples do not count.
        whole: ``(model, batch) -> (B,)`` in place of the criterion, for losses that are not a
            function of the model's outputs.
    """

    criterion: Callable[[Any, Tensor], Tensor]
    name: str = "loss"
    class_weights: Tensor | None = None
    ignore_index: int | None = None
    whole: Callable[[nn.Module, Batch], Tensor] | None = None

    @staticmethod
    def of_batch(whole: Callable[[nn.Module, Batch], Tensor], name: str = "loss") -> "Loss":
        """Wrap a per-sample loss ``(model, batch) -> (B,)``."""
        return Loss(lambda outputs, _: outputs, name, whole=whole)

    def per_sample(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the losses (B,) of a batch.

        Raises:
            InputError: there is not one value a sample.
        """
        if self.whole is not None:
            return one_a_sample(self.whole(model, batch), batch)
        inputs, targets = batch
        return one_a_sample(self.criterion(model(inputs), targets), batch)


def one_a_sample(losses: Tensor, batch: Batch) -> Tensor:
    """Return losses as they are, if they are of shape (B,).

    Raises:
        InputError: they are not.
    """
    if losses.shape != batch[0].shape[:1]:
        raise InputError(
            f"the loss returns shape {tuple(losses.shape)} for {len(batch[0])} samples; it must "
            "return one value a sample (reduction='none')"
        )
    return losses


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

    def criterion(outputs: Any, targets: Tensor) -> Tensor:
        logits = logits_of(outputs)
        logits = logits if logit_factor == 1.0 else logits * logit_factor
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


@dataclass(frozen=True, init=False)
class Subject:
    """What is diagnosed.

    Args:
        model: the network at the parameters to judge; it is never changed.
        data: the labelled samples the loss is taken over, un-augmented: labelled data, a map-style
            torch dataset of ``(input, label)``, or a loader over one.
        loss: per-sample loss, or a function ``(outputs, targets) -> (B,)``; cross-entropy by
            default.
        class_names: K names; their number fixes K. Default: those of the dataset, or the labels.
        class_counts: training samples of each class (K,), for tables and groups. Default: counted.
        classifier: name of the module whose input is the penultimate features. Default: the last
            one called that maps features to K logits.

    Raises:
        InputError: there is no sample, a label is not among the classes, or data or loss are of
            another kind.
    """

    model: nn.Module
    data: LabelledData
    loss: Loss
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    classifier: str | None

    def __init__(
        self,
        model: nn.Module,
        data: LabelledData | Dataset[Any] | DataLoader[Any],
        loss: Loss | Callable[[Any, Tensor], Tensor] | None = None,
        class_names: Sequence[str] = (),
        class_counts: Sequence[int] = (),
        classifier: str | None = None,
    ) -> None:
        names = tuple(class_names) or class_names_of(data)
        labelled = _labelled(data, model)
        classes = len(names) or int(labelled.labels.max()) + 1
        if int(labelled.labels.max()) >= classes:
            raise InputError(
                f"a label is {int(labelled.labels.max())}, and there are {classes} class names"
            )
        if class_counts and len(class_counts) != classes:
            raise InputError(f"{len(class_counts)} class counts for {classes} classes")
        counts = torch.bincount(labelled.labels.clamp(min=0), minlength=classes).tolist()
        values = {
            "model": model,
            "data": labelled,
            "loss": _loss(loss),
            "class_names": names or tuple(str(c) for c in range(classes)),
            "class_counts": tuple(int(n) for n in class_counts or counts),
            "classifier": classifier,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def num_classes(self) -> int:
        """Number of classes K."""
        return len(self.class_names)

    def classifier_name(self) -> str:
        """Name the module whose input is the penultimate features.

        Raises:
            InputError: no linear layer gives the K logits, or the one named does not.
        """
        weight = next(self.model.parameters())
        judged = judged_copy(self.model, weight.dtype)
        inputs, _ = next(iter(self.data.batches(torch.zeros(1, dtype=torch.int64), 1)))
        inputs = inputs.to(weight) if inputs.is_floating_point() else inputs.to(weight.device)
        with torch.no_grad():
            return find_classifier(judged, inputs, self.num_classes, self.classifier)

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


def _labelled(data: Any, model: nn.Module) -> LabelledData:
    labels = getattr(data, "labels", None)
    if not (isinstance(labels, Tensor) and hasattr(data, "batches")):
        data = dataset_data(data, next(model.parameters()).device)
    if data.labels.numel() == 0:
        raise InputError("the data hold no sample; give labelled data to diagnose")
    labelled: LabelledData = data
    return labelled


def _loss(loss: Loss | Callable[[Any, Tensor], Tensor] | None) -> Loss:
    if loss is None:
        return cross_entropy()
    if isinstance(loss, Loss):
        return loss
    if not callable(loss):
        raise InputError(
            f"the loss is a {type(loss).__name__}; give a function (outputs, targets) -> (B,)"
        )
    return Loss(loss, getattr(loss, "__name__", type(loss).__name__))


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
