"""Compute quality (GKP-GSA Eq. 17-19), neural collapse and embedding of penultimate features.

Q_c = Dist_c - β log Var_c with Dist_c the distance from the centroid of class c to the nearest
other one and Var_c the mean squared distance of the class's features to their centroid. The
released code scores -1/Dist_c - log Var_c. Neural collapse (Papyan et al. 2020) is measured around
the class-balanced global mean.
"""

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from landscape.analyses.analysis import Precision, analysis, precision
from landscape.config import DiagnoseConfig, FeaturesConfig
from landscape.global_state import controlled_state
from landscape.groups import SplitName, split_classes
from landscape.results.features import Features
from landscape.subject.batch import check_finite
from landscape.subject.calling import outputs_of
from landscape.subject.classifier import captured
from landscape.subject.data import LabelledData, read
from landscape.subject.evaluation_copy import evaluation_copy
from landscape.subject.parameters import weight_of
from landscape.subject.subject import Subject

_NAN = float("nan")


@dataclass(frozen=True)
class FeatureQuality:
    """Feature quality of each class; NaN for a class without samples."""

    quality: Tensor  # (K,) Q
    separation: Tensor  # (K,) Dist
    variance: Tensor  # (K,) Var; 0 where features differ by rounding alone, and Q is infinite


@dataclass(frozen=True)
class Penultimate:
    """Inputs and predictions of a classifier, N samples."""

    features: Tensor  # (N, D) float64
    predicted: Tensor  # (N,) class of the largest logit
    labels: Tensor  # (N,)
    weight: Tensor  # (K, D) float64, of the classifier


def penultimate_features(
    model: nn.Module, classifier: str, data: LabelledData, batch_size: int = 512
) -> Penultimate:
    """Run a model over all samples in its present mode and keep its classifier's inputs.

    Args:
        model: any classifier.
        classifier: name of the module that maps features (B, D) to logits (B, K).
        data: labelled samples, read in order.
        batch_size: samples a forward pass.

    Returns:
        Tensors on the CPU.
    """
    start = weight_of(model)
    order = (data.labels >= 0).nonzero().flatten()  # the others belong to no class
    head = model.get_submodule(classifier)
    features, predicted = [], []
    with captured(head) as calls, controlled_state(), torch.no_grad():
        for batch in read(data, order, batch_size, start):
            outputs_of(model, batch)
            given, logits = calls.pop()
            check_finite(given, batch, "a penultimate feature")
            features.append(given.double().cpu())
            predicted.append(logits.argmax(dim=1).cpu())
    weight = cast(Tensor, head.weight).detach().double().cpu()
    return Penultimate(torch.cat(features), torch.cat(predicted), data.labels[order], weight)


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
    variance = variance.where(~(variance <= _rounding(features)), 0.0)
    apart = torch.cdist(centroids, centroids, compute_mode="donot_use_mm_for_euclid_dist")
    missing = apart.isnan() | torch.eye(num_classes, dtype=torch.bool)
    nearest = apart.masked_fill(missing, float("inf")).min(dim=1).values
    separation = nearest.where((counts[:, 0] > 0) & nearest.isfinite(), _NAN)
    if formula == "released":
        return FeatureQuality(-1 / separation - variance.log(), separation, variance)
    return FeatureQuality(separation - variance_weight * variance.log(), separation, variance)


def _rounding(features: Tensor) -> float:
    """Compute the squared length that rounding gives the difference of two equal features.

    Features that float32 holds exactly are those of a float32 network.
    """
    single = bool((features.float().double() == features).all())
    eps = torch.finfo(torch.float32 if single else torch.float64).eps
    return features.shape[1] * (8 * eps * float(features.abs().max())) ** 2


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
    features = features.double()
    members = nn.functional.one_hot(labels, num_classes).double().T
    counts = members.sum(dim=1)
    centroids = (members @ features) / counts[:, None]
    centred = centroids - centroids.mean(dim=0)
    rounding = _rounding(features)
    if not ((centred**2).sum(dim=1).max() > rounding):  # nor where a class has no samples
        return NeuralCollapse(_NAN, torch.full((num_classes,), _NAN).double(), *[_NAN] * 4)
    covariance = centred.T @ centred / num_classes
    relative = len(covariance) * torch.finfo(torch.float64).eps
    between = torch.linalg.pinv(covariance, atol=rounding, rtol=relative, hermitian=True)
    spread = features - centroids[labels]
    each = ((spread @ between) * spread).sum(dim=1)
    per_class = (members @ each) / counts / num_classes
    norms = torch.linalg.vector_norm(centred, dim=1)
    gram = centred @ centred.T
    simplex = torch.eye(num_classes, dtype=torch.float64) - 1 / num_classes
    frame = gram / torch.linalg.matrix_norm(gram) - simplex / (num_classes - 1) ** 0.5
    nearest = torch.cdist(features, centroids).argmin(dim=1)
    dual = _NAN
    if weight is not None and weight.shape == centred.shape:
        weight = weight.double()
        apart = weight / torch.linalg.matrix_norm(weight) - centred / torch.linalg.matrix_norm(
            centred
        )
        dual = float(torch.linalg.matrix_norm(apart))
    return NeuralCollapse(
        nc1=float(per_class.mean()),
        nc1_class=per_class,
        nc2_norms=float(norms.std(correction=0) / norms.mean()),
        nc2=float(torch.linalg.matrix_norm(frame)),
        nc3=dual,
        nc4=_NAN if predicted is None else float((predicted == nearest).double().mean()),
    )


def feature_record(
    features: Tensor,
    labels: Tensor,
    class_names: tuple[str, ...],
    class_counts: tuple[int, ...],
    *,
    weight: Tensor | None = None,
    predicted: Tensor | None = None,
    variance_weight: float = 0.5,
    embedded: int = 0,
    seed: int = 0,
    split: SplitName | None = None,
) -> Features:
    """Build the record of a checkpoint's features.

    Args:
        features: (N, D).
        labels: (N,).
        class_names: K.
        class_counts: K training samples.
        weight: (K, D) of the classifier.
        predicted: (N,) its classes.
        variance_weight: β of the quality.
        embedded: samples of a class, at most, that t-SNE places; 0 leaves it out.
        seed: of t-SNE and of the draw.
        split: that defines head, mid and tail.
    """
    classes = len(class_names)
    paper = feature_quality(features, labels, classes, variance_weight=variance_weight)
    released = feature_quality(features, labels, classes, formula="released")
    collapse = neural_collapse(features, labels, classes, weight, predicted)
    chosen = _some_of_each(labels, classes, embedded, seed)
    return Features(
        class_name=np.array(class_names),
        training_count=np.array(class_counts),
        samples=torch.bincount(labels, minlength=classes).numpy(),
        quality=paper.quality.numpy(),
        quality_released=released.quality.numpy(),
        separation=paper.separation.numpy(),
        variance=paper.variance.numpy(),
        nc1=np.array(collapse.nc1),
        nc1_class=collapse.nc1_class.numpy(),
        nc2_norms=np.array(collapse.nc2_norms),
        nc2=np.array(collapse.nc2),
        nc3=np.array(collapse.nc3),
        nc4=np.array(collapse.nc4),
        dimension=np.array(features.shape[1]),
        embedding=_embedding(features[chosen], seed),
        label=labels[chosen].numpy(),
        split=np.array(split_classes(class_counts, split)[0]),
    )


@analysis("features")
def features(
    subject: Subject,
    settings: FeaturesConfig = DiagnoseConfig.features,
    *,
    data: LabelledData | Dataset[Any] | DataLoader[Any] | None = None,
    split: SplitName | None = None,
    dtype: Precision = None,
    batch_size: int = 256,
    seed: int = 0,
) -> Features:
    """Compute quality, neural collapse and an embedding of penultimate features.

    The inputs of a linear classifier are its features:

    >>> import torch
    >>> from landscape import Subject, TensorData
    >>> data = TensorData(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([0, 1]))
    >>> features(Subject(torch.nn.Linear(2, 2), data)).separation
    array([5., 5.])

    Args:
        subject: the model, its class names and training counts.
        settings: of the quality and the embedding; ``settings.data`` is for the command line.
        data: labelled data or a torch dataset. Default: the subject's.
        split: rule that defines head, mid and tail.
        dtype: precision of the model. Default: its own, single precision at least.
        batch_size: samples a forward pass.
        seed: of t-SNE and its draw of samples.

    Raises:
        InputError: a value out of range, or a model whose classifier is not found.
    """
    found = penultimate(subject.on(data), precision(dtype, subject), batch_size)
    return feature_record(
        found.features,
        found.labels,
        subject.class_names,
        subject.class_counts,
        weight=found.weight,
        predicted=found.predicted,
        variance_weight=settings.variance_weight,
        embedded=settings.embedding,
        seed=seed,
        split=split,
    )


def penultimate(subject: Subject, dtype: torch.dtype, batch_size: int) -> Penultimate:
    """Run a subject's model over its data and keep the classifier's inputs.

    Args:
        subject: model and data.
        dtype: precision of the model.
        batch_size: samples a forward pass.
    """
    model = evaluation_copy(subject.model, dtype)
    return penultimate_features(model, subject.classifier_name(), subject.data, batch_size)


def _some_of_each(labels: Tensor, classes: int, most: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    members = [(labels == c).nonzero().flatten() for c in range(classes)]
    return torch.cat([m[torch.randperm(len(m), generator=generator)[:most]] for m in members])


def _embedding(features: Tensor, seed: int) -> "np.ndarray[Any, np.dtype[np.float64]]":
    if len(features) == 0:
        return np.zeros((0, 2))
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(features) - 1) / 3)
    place = TSNE(random_state=seed, init="pca", perplexity=perplexity)
    return np.asarray(place.fit_transform(features.numpy()), dtype=np.float64)
