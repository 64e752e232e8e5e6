"""The Python interface to what is judged sample by sample: accuracy, features, similarity.

They may be judged on other data than the subject's, such as a test set.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from landscape.analyses import accuracy as confusion
from landscape.analyses import similarity as representations
from landscape.analyses.analysis import Call, by_keyword
from landscape.analyses.features import Penultimate, feature_record, penultimate_features
from landscape.analyses.similarity_measures import MEASURES
from landscape.errors import InputError, unknown
from landscape.results.load import Accuracy, Features, Similarity
from landscape.subject.evaluation_copy import judged_copy
from landscape.subject.subject import Subject


@by_keyword
def accuracy(subject: Subject, data: Any = None, **settings: Any) -> Accuracy:
    """Judge a model: confusion matrix, accuracy of each class and group.

    Args:
        subject: the model, its class names, and the training counts that define the groups.
        data: labelled data or a torch dataset, such as a test set. Default: the subject's.
        settings: ``split``, ``bn``, and those of every analysis.

    Raises:
        InputError: an unknown keyword, or data that are none.
    """
    call = Call.of("accuracy", subject, settings).over(data)
    found = confusion.accuracy(
        subject.model,
        call.subject.data,
        subject.class_names,
        subject.class_counts,
        split=call.config.split,
        dtype=call.dtype,
        bn=call.config.bn,
        batch_size=call.config.batch_size,
    )
    return call.finish(found)


@by_keyword
def features(subject: Subject, data: Any = None, **settings: Any) -> Features:
    """Judge penultimate features: quality, neural collapse, an embedding.

    Args:
        subject: the model, its class names and training counts.
        data: labelled data or a torch dataset. Default: the subject's.
        settings: ``split``, those of every analysis, and of
            :class:`landscape.config.FeaturesConfig`: ``variance_weight`` and ``embedding``.

    Raises:
        InputError: an unknown keyword, or a model whose classifier is not found.
    """
    call = Call.of("features", subject, settings).over(data)
    found = _penultimate(call)
    record = feature_record(
        found.features,
        found.labels,
        subject.class_names,
        subject.class_counts,
        weight=found.weight,
        predicted=found.predicted,
        variance_weight=call.config.features.variance_weight,
        embedded=call.config.features.embedding,
        seed=call.config.seed,
        split=call.config.split,
    )
    return call.finish(record)


@by_keyword
def similarity(
    subject: Subject,
    data: Any = None,
    *,
    against: nn.Module | Mapping[str, nn.Module] | None = None,
    **settings: Any,
) -> Similarity:
    """Compare the representations of the classes, with shuffled baselines.

    Args:
        subject: the model, its class names and training counts.
        data: labelled data or a torch dataset, such as a test set. Default: the subject's.
        against: another model, or its name and itself in a mapping; each class is then compared
            with itself there, sample by sample.
        settings: ``split``, those of every analysis, and of
            :class:`landscape.config.SimilarityConfig`: ``measures``, ``components``, ``draws``.

    Raises:
        InputError: an unknown keyword or measure, or too few samples.
    """
    named = dict(against) if isinstance(against, Mapping) else {"other": against}
    if len(named) != 1:
        raise InputError(f"against holds {len(named)} models; give one")
    ((name, other),) = named.items()
    call = Call.of("similarity", subject, settings, against=None if other is None else name).over(
        data
    )
    for measure in call.config.similarity.measures:
        if measure not in MEASURES:
            raise unknown("measure", measure, MEASURES)
    return call.finish(_paired(call, other) if other is not None else _unpaired(call))


def _unpaired(call: Call) -> Similarity:
    found, own = _penultimate(call), call.config.similarity
    return representations.similarity(
        found.features,
        found.labels,
        call.subject.class_names,
        call.subject.class_counts,
        measures=own.measures,
        components=own.components,
        draws=own.draws,
        seed=call.config.seed,
        split=call.config.split,
    )


def _paired(call: Call, other: nn.Module) -> Similarity:
    found, own = _penultimate(call), call.config.similarity
    return representations.paired_similarity(
        found.features,
        _penultimate(call.by(other)).features,
        found.labels,
        call.subject.class_names,
        call.subject.class_counts,
        str(own.against),
        measures=own.measures,
        components=own.components,
        seed=call.config.seed,
    )


def _penultimate(call: Call) -> Penultimate:
    subject = call.subject
    model = judged_copy(subject.model, call.dtype)
    name = subject.classifier_name()
    with torch.no_grad():
        return penultimate_features(model, name, subject.data, call.config.batch_size)
