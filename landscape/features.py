"""Penultimate features and their quality (GKP-GSA Eq. 17-19).

Q_c = Dist_c - β log Var_c with Dist_c the distance from the centroid of class c to the nearest
other one and Var_c the mean squared distance of the class's features to their centroid. The
released code scores -1/Dist_c - log Var_c.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from landscape.subject import LabelledData


@dataclass(frozen=True)
class FeatureQuality:
    """Feature quality of each class; NaN for a class without samples."""

    quality: Tensor  # (K,) Q
    separation: Tensor  # (K,) Dist
    variance: Tensor  # (K,) Var


@torch.no_grad()
def penultimate_features(
    model: nn.Module, data: LabelledData, batch_size: int = 512
) -> tuple[Tensor, Tensor]:
    """Run a model's ``features`` over all samples, in its present mode.

    Args:
        model: with a method ``features`` from inputs to (B, D).
        data: labelled samples, read in order.
        batch_size: samples a forward pass.

    Returns:
        Features (N, D) in float64 and labels (N,), on the CPU.
    """
    weight = next(model.parameters())
    order = torch.arange(len(data.labels))
    extract = cast(Callable[[Tensor], Tensor], model.features)
    found = [
        extract(inputs.to(weight.device, weight.dtype)).double().cpu()
        for inputs, _ in data.batches(order, batch_size)
    ]
    return torch.cat(found), data.labels


def feature_quality(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    variance_weight: float = 0.5,
    formula: Literal["paper", "released"] = "paper",
) -> FeatureQuality:
    """Score the features of each class.

    Args:
        features: (N, D).
        labels: (N,).
        num_classes: K.
        variance_weight: β of the paper's formula.
        formula: Dist - β log Var, or the released code's -1/Dist - log Var.
    """
    features = features.double()
    members = nn.functional.one_hot(labels, num_classes).double().T
    counts = members.sum(dim=1, keepdim=True)
    centroids = (members @ features) / counts  # 0/0, no number, for a class without samples
    squares = ((features - centroids[labels]) ** 2).sum(dim=1)
    variance = (members @ squares) / counts[:, 0]
    apart = torch.cdist(centroids, centroids, compute_mode="donot_use_mm_for_euclid_dist")
    missing = apart.isnan() | torch.eye(num_classes, dtype=torch.bool)
    nearest = apart.masked_fill(missing, float("inf")).min(dim=1).values
    separation = torch.where(counts[:, 0] > 0, nearest, float("nan"))
    if formula == "released":
        return FeatureQuality(-1 / separation - variance.log(), separation, variance)
    return FeatureQuality(separation - variance_weight * variance.log(), separation, variance)
