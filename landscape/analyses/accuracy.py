"""Compute the confusion matrix, and the accuracy of each class and group."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from landscape.analyses.analysis import Precision, analysis, precision
from landscape.errors import InputError
from landscape.groups import GROUPS, SplitName, split_classes
from landscape.results.accuracy import Accuracy
from landscape.subject.batch import Batch, check_finite, tensors
from landscape.subject.calling import outputs_of
from landscape.subject.classifier import check_labels, logits_of
from landscape.subject.data import LabelledData, read
from landscape.subject.evaluation_copy import BatchNormMode, evaluation_copy
from landscape.subject.subject import Subject


def judge(
    logits: Callable[[Any], Any],
    weight: Tensor,
    data: LabelledData,
    num_classes: int,
    batch_size: int = 512,
) -> tuple[NDArray[np.int64], float]:
    """Count predictions and average the cross-entropy with the labels over all samples.

    Args:
        logits: gives (B, C) logits of inputs.
        weight: of the model, where and in whose precision inputs are put.
        data: labelled samples, all of which are judged, in an order that mixes the classes.
        num_classes: K.
        batch_size: samples a forward pass.

    Returns:
        The confusion matrix (K, C or K), row the true class and column the predicted one, and the
        mean cross-entropy.
    """
    return _judged(lambda batch: logits_of(logits(batch[0])), weight, data, num_classes, batch_size)


def _judged(
    logits: Callable[[Batch], Tensor],
    weight: Tensor,
    data: LabelledData,
    num_classes: int,
    batch_size: int,
) -> tuple[NDArray[np.int64], float]:
    loss = torch.zeros((), dtype=torch.float64)
    order = torch.randperm(len(data.labels), generator=torch.Generator().manual_seed(0))
    predicted, columns = [], num_classes
    with torch.no_grad():
        for batch in read(data, order, batch_size, weight):
            found = logits(batch)
            labels = data.labels[batch.samples].to(found.device)
            loss += F.cross_entropy(found, labels, reduction="sum").double().cpu()
            predicted.append(found.argmax(dim=1).cpu())
            columns = max(num_classes, found.shape[1])
    pair = data.labels[order] * columns + torch.cat(predicted)
    confusion = torch.bincount(pair, minlength=num_classes * columns).view(num_classes, columns)
    return confusion.numpy(), float(loss) / len(order)


def _sound_logits(model: nn.Module, data: LabelledData, batch: Batch) -> Tensor:
    """Run a model and check its logits.

    Raises:
        InputError: there are none, of some class of the data, or one is no number.
    """
    logits = logits_of(outputs_of(model, batch))
    shape = tuple(logits.shape)
    if len(shape) != 2 or shape[0] != batch.size or shape[1] < 2:
        raise InputError(
            f"the model gives outputs {shape} for {batch.size} samples; accuracy needs logits of "
            "two classes at least, (B, K), which a regression, a segmentation or a single logit "
            "has not: leave it out"
        )
    real = [t for t in tensors(batch[1]) if t.is_floating_point()]
    if any(((t < 0) | (t > 1)).any() for t in real):
        raise InputError(
            "the targets are real numbers outside 0 to 1, and a regression has no accuracy: leave "
            "it out"
        )
    check_labels(data.labels[batch.samples], logits, batch)
    check_finite(logits, batch, "a logit")
    return logits


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


@analysis("accuracy")
def accuracy(
    subject: Subject,
    *,
    data: LabelledData | Dataset[Any] | DataLoader[Any] | None = None,
    split: SplitName | None = None,
    dtype: Precision = None,
    bn: BatchNormMode = "eval",
    batch_size: int = 256,
) -> Accuracy:
    """Compute the confusion matrix, and the accuracy of each class and group.

    >>> import torch
    >>> from landscape import Subject, TensorData
    >>> model = torch.nn.Linear(2, 2, bias=False)
    >>> model.weight.data = torch.eye(2)  # classifies by the larger input
    >>> subject = Subject(model, TensorData(torch.eye(2), torch.tensor([0, 0])), class_names="ab")
    >>> accuracy(subject).confusion
    array([[1, 1],
           [0, 0]])

    Args:
        subject: the model, its class names, and the training counts that define the groups.
        data: labelled data or a torch dataset, such as a test set. Default: the subject's.
        split: rule that defines head, mid and tail.
        dtype: precision of the model. Default: its own, single precision at least.
        bn: BatchNorm by its running statistics, or by those of each batch.
        batch_size: samples a forward pass.

    Raises:
        InputError: a value out of range, or data that cannot be read by index.
    """
    judged = evaluation_copy(subject.model, precision(dtype, subject), bn)
    weight, classes = next(judged.parameters()), subject.num_classes
    tested = subject.on(data).data
    logits = partial(_sound_logits, judged, tested)
    confusion, _ = _judged(logits, weight, tested, classes, batch_size)
    name, per_class, group = group_accuracy(confusion, subject.class_counts, split)
    return Accuracy(
        class_name=np.array(subject.class_names),
        training_count=np.array(subject.class_counts),
        confusion=confusion,
        per_class=per_class,
        group_name=np.array(["overall", *GROUPS]),
        group=group,
        split=np.array(name),
    )
