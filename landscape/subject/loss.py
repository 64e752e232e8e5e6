"""Per-sample losses, and the weights of classes in their mean."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landscape.deadline import check_time
from landscape.errors import InputError
from landscape.global_state import run
from landscape.subject.batch import Batch, mapped, tensors
from landscape.subject.calling import as_it_was, outputs_of
from landscape.subject.classifier import check_labels, logits_of
from landscape.subject.parameters import weight_of
from landscape.subject.precise import Precise
from landscape.subject.stable import softplus

Pair = tuple[Any, Any]  # inputs and targets


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
        num_classes: K, where it is known, by which logits are told from other outputs.

    A criterion is computed in float64 whatever the network's precision: of a fitted
    sample 1 - p is all that its curvature is made of, and in float32 it cancels.
    """

    criterion: Callable[[Any, Tensor], Tensor]
    name: str = "loss"
    class_weights: Tensor | None = None
    ignore_index: int | None = None
    whole: Callable[[nn.Module, Pair], Tensor] | None = None
    takes_logits: bool = False
    num_classes: int | None = None

    @staticmethod
    def of_batch(whole: Callable[[nn.Module, Pair], Tensor], name: str = "loss") -> "Loss":
        """Wrap a per-sample loss ``(model, batch) -> (B,)``."""
        return Loss(lambda outputs, _: outputs, name, whole=whole)

    def per_sample(self, model: nn.Module, batch: Pair) -> Tensor:
        """Return the losses (B,) of a batch.

        Raises:
            InputError: there is not one value a sample.
        """
        return self._per_sample(model, Batch.of(batch))[0]

    def values(self, model: nn.Module, batch: Pair) -> tuple[Tensor, Any]:
        """Return the losses (B,) of a batch without a graph, and the outputs they are of.

        Outputs are ``None`` for a loss of model and batch.
        """
        batch = Batch.of(batch)
        try:
            with torch.no_grad():
                return self._per_sample(model, batch)
        except InputError:  # a loss that takes gradients itself
            with torch.enable_grad():
                losses, outputs = self._per_sample(model, batch)
            return losses.detach(), outputs

    def _per_sample(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Any]:
        check_time()
        if self.whole is None:
            outputs = self.outputs(model, batch)
            return self.of_outputs(outputs, batch[1], batch), outputs
        with as_it_was(model), Precise(weight_of(model).dtype):
            losses = run(self.whole, model, tuple(batch), about=batch.described)
        return _one_a_sample(losses, batch), None

    def outputs(self, model: nn.Module, batch: Pair) -> Any:
        """Return what the criterion is applied to: a model's outputs, or the logits among them."""
        outputs = outputs_of(model, Batch.of(batch))
        return logits_of(outputs, self.num_classes) if self.takes_logits else outputs

    def of_outputs(self, outputs: Any, targets: Any, batch: Batch | None = None) -> Tensor:
        """Apply the criterion to outputs, in float64 where it takes them so: losses (B,)."""
        batch = Batch(None, targets) if batch is None else batch
        if self.takes_logits:
            _check_logits(outputs, batch, self.ignore_index, self.num_classes)
        wide = mapped(_widened, outputs)
        if any(part.dtype == torch.float64 for part in tensors(wide)):
            try:
                return self._applied(wide, mapped(_widened, targets), batch)
            except InputError:  # one that holds float32 tensors, such as weights
                pass
        return self._applied(outputs, targets, batch)

    def _applied(self, outputs: Any, targets: Any, batch: Batch) -> Tensor:
        real = [t.dtype for t in tensors(outputs) if t.is_floating_point()]
        with Precise(real[0] if real else torch.float32):
            losses = run(self.criterion, outputs, targets, about=batch.described)
        return _one_a_sample(losses, batch)


def _one_a_sample(losses: Any, batch: Batch) -> Tensor:
    if isinstance(losses, Tensor) and losses.shape == (batch.size,):
        return losses
    kind = type(losses).__name__
    found = f"shape {tuple(losses.shape)}" if isinstance(losses, Tensor) else f"a value of {kind}"
    raise InputError(
        f"the loss returns {found} for {batch.size} samples; it must return a tensor of one value "
        "a sample (reduction='none', and a mean over what a sample has several of)"
    )


def _check_logits(
    logits: Tensor, batch: Batch, ignore_index: int | None, num_classes: int | None
) -> None:
    """Check that the default loss may take logits and targets.

    Raises:
        InputError: it is not one row of logits a sample, or a label is beyond them.
    """
    targets = batch[1]
    if logits.dim() != 2:
        raise InputError(
            f"the model's logits have the shape {tuple(logits.shape)}; the cross-entropy by "
            "default is of one class a sample, of logits (B, K). Give a loss that returns one "
            "value a sample, such as lambda outputs, targets: F.cross_entropy("
            "outputs.flatten(0, 1), targets.flatten(), reduction='none').view(len(targets), "
            "-1).mean(1) for tokens (B, T, K)"
        )
    if logits.shape[1] < 2 and num_classes != 1:
        raise InputError(
            f"the model gives one logit a sample, {tuple(logits.shape)}, and the cross-entropy by "
            "default needs two at least; give a loss of one logit, such as lambda outputs, "
            "targets: F.binary_cross_entropy_with_logits(outputs[:, 0], targets.float(), "
            "reduction='none')"
        )
    if isinstance(targets, Tensor) and targets.dim() == 1 and not targets.is_floating_point():
        ignored = None if ignore_index is None else targets == ignore_index
        check_labels(targets if ignored is None else targets.masked_fill(ignored, 0), logits, batch)


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
        targets = targets if targets.is_floating_point() else targets.long()
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
    return softplus(margins.logsumexp(dim=1)).where(counted, 0.0)


def _are_classes(logits: Tensor, targets: Tensor) -> bool:
    integers = not (targets.is_floating_point() or targets.is_complex())
    return integers and logits.dim() == 2 and targets.dim() == 1 and logits.shape[1] > 1


def _widened(targets: Tensor) -> Tensor:
    return targets.double() if targets.is_floating_point() else targets


def loss_of(loss: Loss | Callable[[Any, Tensor], Tensor] | None) -> Loss:
    """Take a loss as it is, or wrap a function ``(outputs, targets) -> (B,)``.

    Args:
        loss: the cross-entropy where it is ``None``. Of :class:`torch.nn.CrossEntropyLoss` and
            :class:`torch.nn.NLLLoss` the class weights and the target to ignore are those of the
            mean over the scope, whatever their reduction.

    Raises:
        InputError: it cannot be called.
    """
    if loss is None:
        return cross_entropy()
    if isinstance(loss, Loss):
        return loss
    if type(loss) is nn.CrossEntropyLoss:
        return cross_entropy(
            class_weights=loss.weight,
            ignore_index=loss.ignore_index,
            label_smoothing=loss.label_smoothing,
        )
    if type(loss) is nn.NLLLoss:
        each = nn.NLLLoss(ignore_index=loss.ignore_index, reduction="none")
        return Loss(each, "NLLLoss", loss.weight, loss.ignore_index)
    if not callable(loss):
        raise InputError(
            f"the loss is a {type(loss).__name__}; give a function (outputs, targets) -> (B,)"
        )
    return Loss(loss, getattr(loss, "__name__", type(loss).__name__))
