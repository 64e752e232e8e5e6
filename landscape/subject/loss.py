"""Per-sample losses, and the weights of classes in their mean."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landscape.errors import InputError
from landscape.global_state import run
from landscape.subject.classifier import logits_of

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Loss:
    """A per-sample loss and the weights of the classes in its mean.

    Args:
        criterion: ``(outputs, targets (B, …)) -> (B,)``, of whatever the model returns.
        name: how result files call it.
        class_weights: (K,) weight of each class; the scope's mean is Σ w ℓ / Σ w over the whole
            scope. ``None`` weighs samples equally.
        ignore_index: a target whose samples do not count.
        whole: ``(model, batch) -> (B,)`` in place of the criterion, for losses that are not a
            function of the model's outputs.
        takes_logits: whether the criterion is of the logits among the outputs.

    A criterion of one tensor is computed in float64 whatever the network's precision: of a fitted
    sample 1 - p is all that its curvature is made of, and in float32 it cancels.
    """

    criterion: Callable[[Any, Tensor], Tensor]
    name: str = "loss"
    class_weights: Tensor | None = None
    ignore_index: int | None = None
    whole: Callable[[nn.Module, Batch], Tensor] | None = None
    takes_logits: bool = False

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
            return one_a_sample(run(self.whole, model, batch), batch)
        inputs, targets = batch
        return one_a_sample(self.of_outputs(run(model, inputs), targets), batch)

    def of_outputs(self, outputs: Any, targets: Tensor) -> Tensor:
        """Apply the criterion to outputs, in float64 where it takes them so."""
        if self.takes_logits:
            outputs = logits_of(outputs)
        losses: Tensor
        if isinstance(outputs, Tensor) and outputs.is_floating_point():
            try:
                losses = run(self.criterion, outputs.double(), _widened(targets))
            except InputError:  # one that holds float32 tensors, such as weights
                losses = run(self.criterion, outputs, targets)
            return losses
        losses = run(self.criterion, outputs, targets)
        return losses


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
        class_weights: (K,) weights, normalised over the whole scope. A sample's whole loss is
            weighed by the class of its label, also where the target is smoothed or soft;
            :func:`torch.nn.functional.cross_entropy` weighs each class's term of such a target.
        ignore_index: target to leave out, neither summed nor counted; -100 as in PyTorch if not
            given.
        label_smoothing: share of the uniform distribution mixed into each target.
        logit_factor: factor on the logits, to judge a cosine classifier at another scale.
    """
    ignored = -100 if ignore_index is None else ignore_index

    def criterion(logits: Tensor, targets: Tensor) -> Tensor:
        logits = logits if logit_factor == 1.0 else logits * logit_factor
        if label_smoothing == 0 and _are_classes(logits, targets):
            return margin_cross_entropy(logits, targets, ignored)
        return F.cross_entropy(
            logits,
            targets,
            reduction="none",
            ignore_index=ignored,
            label_smoothing=label_smoothing,
        )

    name = "cross_entropy" if logit_factor == 1.0 else f"cross_entropy(logits*{logit_factor:g})"
    return Loss(criterion, name, class_weights, ignored, takes_logits=True)


def margin_cross_entropy(logits: Tensor, labels: Tensor, ignore_index: int = -100) -> Tensor:
    """Compute the cross-entropy (B,) as log(1 + Σ_{j≠y} exp(z_j - z_y)).

    Equal to -log softmax(z)_y; in this form no term of the gradient and of the Hessian is a
    difference of numbers near one, so that both keep their digits however well a sample is fitted.

    Args:
        logits: (B, K), K at least 2.
        labels: (B,) int64.
        ignore_index: label whose loss is 0.
    """
    counted = labels != ignore_index
    own = labels.where(counted, 0)[:, None]
    margins = (logits - logits.gather(1, own)).scatter(1, own, -torch.inf)
    return _softplus(margins.logsumexp(dim=1)).where(counted, 0.0)


def _softplus(values: Tensor) -> Tensor:
    """Compute log(1 + e^x); PyTorch's own second derivative is a product with 1 - (1 - e^x)."""
    positive = values > 0
    above, below = values.where(positive, 0.0), values.where(~positive, 0.0)
    return torch.where(positive, above + (-above).exp().log1p(), below.exp().log1p())


def _are_classes(logits: Tensor, targets: Tensor) -> bool:
    integers = not (targets.is_floating_point() or targets.is_complex())
    return integers and logits.dim() == 2 and targets.dim() == 1 and logits.shape[1] > 1


def _widened(targets: Tensor) -> Tensor:
    return targets.double() if targets.is_floating_point() else targets


def loss_of(loss: Loss | Callable[[Any, Tensor], Tensor] | None) -> Loss:
    """Take a loss as it is, or wrap a function ``(outputs, targets) -> (B,)``.

    Args:
        loss: the cross-entropy where it is ``None``.

    Raises:
        InputError: it cannot be called.
    """
    if loss is None:
        return cross_entropy()
    if isinstance(loss, Loss):
        return loss
    if not callable(loss):
        raise InputError(
            f"the loss is a {type(loss).__name__}; give a function (outputs, targets) -> (B,)"
        )
    return Loss(loss, getattr(loss, "__name__", type(loss).__name__))
