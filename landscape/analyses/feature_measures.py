"""Measure features: quality (GKP-GSA Eq. 17-19) and neural collapse (Papyan et al. 2020).

Q_c = Dist_c - β log Var_c with Dist_c the distance from the centroid of class c to the nearest
other one and Var_c the mean squared distance of the class's features to their centroid. The
released code scores -1/Dist_c - log Var_c. Neural collapse is measured around the class-balanced
global mean. Beside the features (N, D) nothing is larger than (K, D), (K, K) or (D, D).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

_NAN = float("nan")
_ENTRIES = 2**22  # of a slice of features or distances, float64: 32 MiB
_CANDIDATES = 4  # nearest centroids by rounded distances, of which exact ones are taken


@dataclass(frozen=True)
class FeatureQuality:
    """Feature quality of each class; NaN for a class without samples."""

    quality: Tensor  # (K,) Q
    separation: Tensor  # (K,) Dist
    variance: Tensor  # (K,) Var; 0 where features differ by rounding alone, and Q is infinite


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
    counts, centroids = _centroids(features, labels, num_classes)
    sums = torch.zeros_like(counts)
    for rows, own in _slices(features, labels, features.shape[1]):
        sums.index_add_(0, own, (rows - centroids[own]).square().sum(dim=1))
    separation = torch.full_like(counts, _NAN)
    separation[counts > 0] = _to_nearest_other(centroids[counts > 0])
    variance = sums / counts
    variance = variance.where(~(variance <= _rounding(features)), 0.0)
    found = FeatureQuality(_NAN * counts, separation, variance)
    return rescored(found, variance_weight, formula)


def rescored(
    found: FeatureQuality,
    variance_weight: float = 0.5,
    formula: Literal["paper", "released"] = "paper",
) -> FeatureQuality:
    """Score separation and variance by another formula, as :func:`feature_quality` does."""
    if formula == "released":
        return replace(found, quality=-1 / found.separation - found.variance.log())
    return replace(found, quality=found.separation - variance_weight * found.variance.log())


@dataclass(frozen=True)
class NeuralCollapse:
    """Distances of features from neural collapse; all but NC4 are 0 at collapse.

    They speak of all K centroids, and are NaN where a class has no samples, or where the centroids
    differ by rounding alone.
    """

    nc1: float  # tr(Σ_W Σ_B⁺) / K, within-class against between-class covariance
    nc1_class: Tensor  # (K,) the same with the class's own covariance
    nc2_norms: float  # coefficient of variation of the centred centroids' norms
    nc2: float  # ‖M Mᵀ/‖M Mᵀ‖ - (I - 11ᵀ/K)/√(K-1)‖, M the centred centroids
    nc3: float  # ‖W/‖W‖ - M/‖M‖‖, W the classifier's weights; NaN without them
    nc4: float  # share of samples that the classifier and the nearest centroid call alike


def neural_collapse(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    weight: Tensor | None = None,
    predicted: Tensor | None = None,
) -> NeuralCollapse:
    """Measure neural collapse.

    Args:
        features: (N, D).
        labels: (N,).
        num_classes: K.
        weight: (K, D) of the classifier; NC3 is NaN where it has more rows.
        predicted: (N,) its classes.
    """
    counts, centroids = _centroids(features, labels, num_classes)
    centred, rounding = centroids - centroids.mean(dim=0), _rounding(features)
    if not (centred.square().sum(dim=1).max() > rounding):  # nor where a class has no samples
        return NeuralCollapse(_NAN, torch.full((num_classes,), _NAN).double(), *[_NAN] * 4)
    covariance = centred.T @ centred / num_classes
    relative = len(covariance) * torch.finfo(torch.float64).eps
    between = torch.linalg.pinv(covariance, atol=rounding, rtol=relative, hermitian=True)
    sums = torch.zeros_like(counts)
    for rows, own in _slices(features, labels, features.shape[1]):
        spread = rows - centroids[own]
        sums.index_add_(0, own, ((spread @ between) * spread).sum(dim=1))
    per_class = sums / counts / num_classes
    norms = torch.linalg.vector_norm(centred, dim=1)
    return NeuralCollapse(
        nc1=float(per_class.mean()),
        nc1_class=per_class,
        nc2_norms=float(norms.std(correction=0) / norms.mean()),
        nc2=_from_simplex(centred),
        nc3=_from_dual(centred, weight),
        nc4=_NAN if predicted is None else _agreement(features, centroids, predicted),
    )


def _slices(features: Tensor, others: Tensor, width: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield rows in float64 with those of another tensor, few enough for so many numbers each."""
    step = max(_ENTRIES // max(width, 1), 1)
    for rows, theirs in zip(features.split(step), others.split(step), strict=True):
        yield rows.double(), theirs


def _centroids(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return samples (K,) and mean features (K, D) of each class; 0/0, no number, without any."""
    counts = torch.bincount(labels, minlength=classes).double()
    sums = torch.zeros(classes, features.shape[1], dtype=torch.float64)
    for rows, own in _slices(features, labels, features.shape[1]):
        sums.index_add_(0, own, rows)
    return counts, sums / counts[:, None]


def _rounding(features: Tensor) -> float:
    """Compute the squared length that rounding gives the difference of two equal features.

    Features that float32 holds exactly are those of a float32 network.
    """
    single, most = True, 0.0
    for rows, _ in _slices(features, features, features.shape[1]):
        single = single and bool((rows.float().double() == rows).all())
        most = max(most, float(rows.abs().max()))
    eps = torch.finfo(torch.float32 if single else torch.float64).eps
    return features.shape[1] * (8 * eps * most) ** 2


def _to_nearest_other(points: Tensor) -> Tensor:
    """Return the distance of each point (K, D) to the nearest other one (K,), NaN without one.

    Inner products find a few candidates, whose distances are then taken without cancellation.
    """
    nearest = torch.full((len(points),), _NAN, dtype=torch.float64)
    finite = points.isfinite().all(dim=1).nonzero().flatten()
    points = points[finite]
    if len(points) < 2:
        return nearest
    centred = points - points.mean(dim=0)
    squares = centred.square().sum(dim=1)
    for rows, own in _slices(centred, torch.arange(len(points)), len(points)):
        rough = squares - 2 * rows @ centred.T
        rough[torch.arange(len(rows)), own] = torch.inf
        near = rough.topk(min(_CANDIDATES, len(points) - 1), largest=False).indices
        apart = torch.linalg.vector_norm(points[own, None] - points[near], dim=2)
        nearest[finite[own]] = apart.min(dim=1).values
    return nearest


def _from_simplex(centred: Tensor) -> float:
    """Return the distance of normalised inner products of centroids from those of a simplex."""
    scale = torch.tensor(len(centred) - 1.0, dtype=torch.float64).rsqrt()
    frame = centred @ centred.T
    frame /= torch.linalg.matrix_norm(frame)
    frame += scale / len(centred)
    frame.diagonal().sub_(scale)
    return float(torch.linalg.matrix_norm(frame))


def _from_dual(centred: Tensor, weight: Tensor | None) -> float:
    """Return the distance of centroids and classifier, both normalised; NaN without a row each."""
    if weight is None or weight.shape != centred.shape:
        return _NAN
    both = centred, weight.double()
    unit, dual = (values / torch.linalg.matrix_norm(values) for values in both)
    return float(torch.linalg.matrix_norm(dual - unit))


def _agreement(features: Tensor, centroids: Tensor, predicted: Tensor) -> float:
    """Return the share of samples whose predicted class is that of the nearest centroid."""
    hits = 0
    for rows, called in _slices(features, predicted, max(centroids.shape)):
        hits += int((torch.cdist(rows, centroids).argmin(dim=1) == called).sum())
    return hits / len(predicted)
