"""Influence-balanced loss (Park et al. 2021): samples count by the inverse of their influence.

From the epoch at which it starts, ℓ = w_y CE(f, y) α / (‖p - 1_y‖₁ ‖h‖₁ + 0.001), with h the
penultimate features, w ∝ 1/n_c and Σ w = K; before, the cross-entropy. The influence is not
detached, as in the released code.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from trainers.losses.cross_entropy import PerSample, cross_entropy
from trainers.losses.loss import Scored
from trainers.losses.weighting import inverse_frequency_weights

_LEAST = 1e-3


@dataclass(frozen=True)
class InfluenceBalanced:
    """Weigh the cross-entropy by class and by the inverse of a sample's influence.

    Args:
        class_counts: (K,) training samples.
        alpha: α, factor of the loss.
        start: share of the epochs after which it takes the cross-entropy's place.
    """

    class_counts: Tensor
    alpha: float = 1000.0
    start: float = 0.5

    def at(
        self,
        epoch: int,
        epochs: int,
        generator: torch.Generator,  # noqa: ARG002
    ) -> "PerSample | InfluenceBalanced":
        """Return the cross-entropy, or this loss from its start on."""
        return self if epoch >= round(self.start * epochs) else cross_entropy(self.class_counts)

    def of_network(self, batch: Scored) -> Tensor:
        """Return losses (B,) of features (B, D)."""
        logits, labels = batch.logits, batch.labels
        missed = (logits.softmax(dim=1) - F.one_hot(labels, logits.shape[1])).abs().sum(dim=1)
        influence = missed * batch.features[: len(labels)].abs().sum(dim=1)
        weights = inverse_frequency_weights(self.class_counts).to(logits.device, logits.dtype)
        each = F.cross_entropy(logits, labels, reduction="none")
        return weights[labels] * each * self.alpha / (influence + _LEAST)
