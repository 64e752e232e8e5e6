"""Compute quality, neural collapse and an embedding of penultimate features.

What they are stands in :mod:`landscape.analyses.feature_measures`.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from landscape.analyses.analysis import Precision, analysis, precision
from landscape.analyses.feature_measures import feature_quality, neural_collapse, rescored
from landscape.config import DiagnoseConfig, FeaturesConfig
from landscape.distributed import own_part, summed_together
from landscape.global_state import controlled_state
from landscape.groups import SplitName, split_classes
from landscape.results.features import Features
from landscape.subject.batch import check_finite
from landscape.subject.calling import outputs_of
from landscape.subject.classifier import captured
from landscape.subject.data import LabelledData, read
from landscape.subject.evaluation_copy import evaluation_copy
from landscape.subject.members import members_of_classes
from landscape.subject.out_of_memory import in_batches
from landscape.subject.parameters import weight_of
from landscape.subject.subject import Subject


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
    return in_batches(partial(_penultimate, model, classifier, data), batch_size)


def _penultimate(
    model: nn.Module, classifier: str, data: LabelledData, batch_size: int
) -> Penultimate:
    start = weight_of(model)
    order = (data.labels >= 0).nonzero().flatten()  # the others belong to no class
    head = model.get_submodule(classifier)
    weight = cast(Tensor, head.weight).detach().double().cpu()
    features = torch.zeros(len(order), weight.shape[1], dtype=torch.float64)
    predicted, done = torch.zeros_like(order), 0
    places = own_part(torch.arange(len(order)))
    with captured(head) as calls, controlled_state(), torch.no_grad():
        for batch in read(data, order[places], batch_size, start):
            outputs_of(model, batch)
            given, logits = calls.pop()
            check_finite(given, batch, "a penultimate feature")
            at = places[done : done + len(given)]
            features[at], predicted[at] = given.double().cpu(), logits.argmax(dim=1).cpu()
            done += len(given)
    features, predicted = summed_together(features, predicted)
    return Penultimate(features, predicted, data.labels[order], weight)


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
    released = rescored(paper, formula="released")
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
    members = members_of_classes(labels, classes)
    return torch.cat([m[torch.randperm(len(m), generator=generator)[:most]] for m in members])


def _embedding(features: Tensor, seed: int) -> "np.ndarray[Any, np.dtype[np.float64]]":
    if len(features) == 0:
        return np.zeros((0, 2))
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(features) - 1) / 3)
    place = TSNE(random_state=seed, init="pca", perplexity=perplexity)
    return np.asarray(place.fit_transform(features.numpy()), dtype=np.float64)
