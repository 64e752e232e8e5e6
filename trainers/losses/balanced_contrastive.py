"""Balanced contrastive learning (Zhu et al. 2022): L_BCL, and its sum with logit adjustment.

Two further views of each sample and one prototype a class are points on the unit sphere. An anchor
is compared with all others: its own class is pulled close, and every class enters the denominator
with the mean, not the sum, of its members, so that frequent classes do not push harder:

    L_i = -1/|P_i| Σ_{p ∈ P_i} log( exp(z_i·z_p/τ) / Σ_j 1/|A_ij| Σ_{k ∈ A_ij} exp(z_i·z_k/τ) )

A_ij are the members of class j without the anchor and P_i those of the anchor's own class. The
prototypes keep every A_ij from being empty. Prototypes are no anchors.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from trainers.losses.logit_adjustment import logit_adjustment

PerSampleWithProjections = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def balanced_supervised_contrastive(
    projections: Tensor, labels: Tensor, prototypes: Tensor, temperature: float = 0.1
) -> Tensor:
    """Compute L_BCL of each sample, the mean of its two anchors, (B,).

    Args:
        projections: (2B, D) unit vectors, one view of all samples and then the other.
        labels: (B,).
        prototypes: (K, D) unit vectors.
        temperature: τ.
    """
    classes = torch.cat([labels, labels, torch.arange(len(prototypes), device=labels.device)])
    points = torch.cat([projections, prototypes])
    similarities = projections @ points.T / temperature
    itself = torch.eye(*similarities.shape, dtype=torch.bool, device=similarities.device)
    positives = (classes[: len(projections), None] == classes) & ~itself
    members = torch.bincount(classes, minlength=len(prototypes))[classes]
    sizes = (members - positives.long()).to(similarities.dtype)
    terms = (similarities - sizes.log()).masked_fill(itself, -torch.inf)
    attraction = (similarities * positives).sum(dim=1) / positives.sum(dim=1)
    return (terms.logsumexp(dim=1) - attraction).view(2, -1).mean(dim=0)


def balanced_contrastive(
    class_counts: Tensor,
    *,
    scale: float = 30.0,  # noqa: ARG001
    prototype_norm: str = "no",  # noqa: ARG001
    tau: float = 1.0,
    temperature: float = 0.1,
    cross_entropy_share: float = 2.0,
    contrastive_share: float = 0.6,
) -> PerSampleWithProjections:
    """Build ``(logits (B, K), labels (B,), projections (2B, D), prototypes (K, D)) -> (B,)``.

    The logits are of a view of their own. The shares are those of the CIFAR training that
    GKP-GSA released.

    Args:
        class_counts: (K,) training samples.
        scale: of the cosine head, which multiplies its logits itself.
        prototype_norm: of the network, which normalises its prototypes itself.
        tau: temperature of the prior in the logit-adjusted cross-entropy.
        temperature: of the contrastive term.
        cross_entropy_share: factor of the logit-adjusted cross-entropy.
        contrastive_share: factor of the contrastive term.
    """
    adjusted = logit_adjustment(class_counts, tau=tau)

    def loss(logits: Tensor, labels: Tensor, projections: Tensor, prototypes: Tensor) -> Tensor:
        contrast = balanced_supervised_contrastive(projections, labels, prototypes, temperature)
        return cross_entropy_share * adjusted(logits, labels) + contrastive_share * contrast

    return loss
