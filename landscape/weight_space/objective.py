"""Compute the trained objective beside the plain loss, from the same outputs where it is of these.

An objective weighs classes: its mean over a set of samples is Σ w ℓ / Σ w over all training
samples that count. A class's mean times its factor w_c r_c N / Σ_j w_j r_j n_j, with the share r_c
of its samples that count, makes the mean over classes, each as frequent as in training, that
objective.
"""

from typing import Any

import torch
from torch import Tensor, nn

from landscape.subject.batch import Batch
from landscape.subject.classifier import logits_of
from landscape.subject.loss import Loss
from landscape.subject.subject import Subject
from landscape.weight_space.counted import counted_labels


class TrainedObjective:
    """Judge samples by a second loss.

    Args:
        subject: whose own loss is the plain one.
        loss: the second, with the weights of classes in its mean. Default: the subject's own where
            it weighs classes; there is none otherwise.

    Attributes:
        loss: it, ``None`` if there is none.
        factors: (K,) of each class's mean, float64; NaN without a loss.
    """

    def __init__(self, subject: Subject, loss: Loss | None) -> None:
        self.plain = subject.loss
        weighs = subject.loss.class_weights is not None
        self.loss = loss if loss is not None or not weighs else subject.loss
        counts = torch.tensor(subject.class_counts, dtype=torch.float64)
        self.factors = torch.full_like(counts, torch.nan)
        if self.loss is not None:
            given = self.loss.class_weights
            weights = torch.ones_like(counts) if given is None else given.cpu().double()
            kept = _counted_share(subject)
            weights, seen = weights[: len(counts)] * kept, counts * (kept > 0)
            self.factors = weights * (seen.sum() / (weights * seen).sum())

    @property
    def name(self) -> str:
        """How result files call it; empty without one."""
        return "" if self.loss is None else self.loss.name

    @property
    def shares_outputs(self) -> bool:
        """Whether both losses are of one forward pass's outputs."""
        if self.loss is None or self.loss is self.plain:
            return self.plain.whole is None
        both = self.plain.whole is None and self.loss.whole is None
        return both and (self.loss.takes_logits or not self.plain.takes_logits)

    def per_sample(self, model: nn.Module, batch: Batch, outputs: Any, plain: Tensor) -> Tensor:
        """Return the losses (B,) of a batch, without a graph; NaN without a loss.

        Args:
            model: where it stands.
            batch: of samples.
            outputs: what the plain loss was of.
            plain: the plain losses (B,).
        """
        if self.loss is None:
            return torch.full_like(plain, torch.nan, dtype=torch.float64)  # plain may count
        if self.loss is self.plain:
            return plain
        if not self.shares_outputs:
            return self.loss.values(model, batch)[0]
        with torch.no_grad():
            chosen = (
                logits_of(outputs, self.loss.num_classes) if self.loss.takes_logits else outputs
            )
            return self.loss.of_outputs(chosen, batch[1], batch)


def _counted_share(subject: Subject) -> Tensor:
    """Share of each class's samples whose target is not ignored (K,); 0 for one without samples."""
    labels, kept = subject.data.labels, counted_labels(subject)
    members, own = (
        torch.bincount(one[one >= 0], minlength=subject.num_classes) for one in (labels, kept)
    )
    return own.double() / members.clamp(min=1)
