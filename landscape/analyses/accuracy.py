"""Confusion matrix, and accuracy of each class and group."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from landscape.analyses.analysis import Call, by_keyword
from landscape.global_state import controlled_state
from landscape.groups import GROUPS, SplitName, split_classes
from landscape.results.accuracy import Accuracy
from landscape.subject.classifier import logits_of
from landscape.subject.data import LabelledData
from landscape.subject.evaluation_copy import (
    BatchNormMode,
    cast_like,
    evaluation_copy,
)
from landscape.subject.subject import Subject


def judge(
    logits: Callable[[Tensor], Any],
    weight: Tensor,
    data: LabelledData,
    num_classes: int,
    batch_size: int = 512,
) -> tuple[NDArray[np.int64], float]:
    """Count predictions and average the cross-entropy over all samples.

    Args:
        logits: gives (B, K) logits of inputs.
        weight: of the model, where and in whose precision inputs are put.
        data: labelled samples, all of which are judged, in an order that mixes the classes.
        num_classes: K.
        batch_size: samples a forward pass.

    Returns:
        The confusion matrix (K, K), row the true class and column the predicted one, and the mean
        cross-entropy.
    """
    loss = torch.zeros((), dtype=torch.float64)
    counts = torch.zeros(num_classes * num_classes, dtype=torch.int64)
    order = torch.randperm(len(data.labels), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for inputs, targets in data.batches(order, batch_size):
            found = logits_of(logits(cast_like(inputs, weight)))
            targets = targets.to(found.device)
            loss += F.cross_entropy(found, targets, reduction="sum").double().cpu()
            pair = targets * num_classes + found.argmax(dim=1)
            counts += torch.bincount(pair, minlength=num_classes**2).cpu()
    confusion = counts.view(num_classes, num_classes).numpy()
    return confusion, float(loss) / len(order)


def compute_accuracy(
    model: nn.Module,
    data: LabelledData,
    class_names: tuple[str, ...],
    class_counts: tuple[int, ...],
    *,
    split: SplitName | None = None,
    dtype: torch.dtype = torch.float32,
    bn: BatchNormMode = "eval",
    batch_size: int = 512,
) -> Accuracy:
    """Judge a model on a test set.

    Args:
        model: left untouched; a copy in eval mode is judged.
        data: the test set.
        class_names: K names.
        class_counts: training samples of each class, which define the groups.
        split: rule of the groups; see :func:`landscape.groups.split_classes`.
        dtype: precision of the copy.
        bn: BatchNorm mode.
        batch_size: samples a forward pass.
    """
    judged = evaluation_copy(model, dtype, bn)
    weight = next(judged.parameters())
    with controlled_state():
        confusion, _ = judge(judged, weight, data, len(class_names), batch_size)
    name, per_class, group = group_accuracy(confusion, class_counts, split)
    return Accuracy(
        class_name=np.array(class_names),
        training_count=np.array(class_counts),
        confusion=confusion,
        per_class=per_class,
        group_name=np.array(["overall", *GROUPS]),
        group=group,
        split=np.array(name),
    )


def group_accuracy(
    confusion: NDArray[np.int64], class_counts: tuple[int, ...], split: SplitName | None = None
) -> tuple[str, NDArray[np.float64], NDArray[np.float64]]:
    """Reduce a confusion matrix.

    Returns:
        The split's name, the accuracy of each class (K,), and of overall, head, mid and tail (4,)
        over their samples; NaN where there are none.
    """
    name, groups = split_classes(class_counts, split)
    right, total = np.diag(confusion).astype(float), confusion.sum(axis=1).astype(float)
    members = [list(range(len(right))), *(list(groups[g]) for g in GROUPS)]
    with np.errstate(invalid="ignore"):
        per_class = right / total
        group = np.array([right[m].sum() / total[m].sum() for m in members])
    return name, per_class, group


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
    found = compute_accuracy(
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
