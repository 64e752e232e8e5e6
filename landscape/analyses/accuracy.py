"""Compute the confusion matrix, accuracies, calibration and open-set recognition."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from landscape.analyses.analysis import Precision, analysis, precision
from landscape.curvature.independence import check_read_alone
from landscape.distributed import least, own_part, summed_together
from landscape.errors import InputError
from landscape.groups import GROUPS, SplitName, split_classes
from landscape.results.accuracy import Accuracy
from landscape.subject.batch import Batch, check_finite, tensors
from landscape.subject.calling import outputs_of
from landscape.subject.classifier import check_labels, logits_of
from landscape.subject.data import LabelledData, read
from landscape.subject.evaluation_copy import BatchNormMode, evaluation_copy
from landscape.subject.out_of_memory import in_batches
from landscape.subject.parameters import weight_of
from landscape.subject.subject import Subject

CALIBRATION_BINS = 15  # of equal width: Guo et al. 2017, and the released MiSLAS code
_COMPARED = 16  # samples of a batch whose logits are compared with those they have alone
OPEN_THRESHOLD = 0.1  # largest softmax below which a sample is rejected: released OLTR code


@dataclass(frozen=True)
class Judged:
    """Hold what a network says of all samples."""

    confusion: NDArray[np.int64]  # (K, K), row the true class and column the predicted one
    loss: float  # mean cross-entropy
    calibration: NDArray[np.float64]  # (K, bins, 3): samples, right ones, sum of confidences
    known: NDArray[np.int64]  # (3,): right, wrong and rejected ones of the samples


def judge(
    logits: Callable[[Any], Any],
    weight: Tensor,
    data: LabelledData,
    num_classes: int,
    batch_size: int = 512,
) -> tuple[NDArray[np.int64], float]:
    """Count predictions and average the cross-entropy over all samples, see :func:`judge_all`.

    Args:
        logits: gives (B, C) logits of inputs.
        weight: of the model, where and in whose precision inputs are put.
        data: labelled samples, all of which are judged.
        num_classes: K.
        batch_size: samples a forward pass.

    Returns:
        The confusion matrix (K, C or K), row the true class and column the predicted one, and the
        mean cross-entropy.
    """
    of_batch = partial(_logits_of_inputs, logits)
    found = judge_all(of_batch, weight, data, num_classes, batch_size)
    return found.confusion, found.loss


def _logits_of_inputs(logits: Callable[[Any], Any], batch: Batch) -> Tensor:
    return logits_of(logits(batch[0]))


def judge_all(
    logits: Callable[[Batch], Tensor],
    weight: Tensor,
    data: LabelledData,
    num_classes: int,
    batch_size: int = 512,
    threshold: float = OPEN_THRESHOLD,
) -> Judged:
    """Count predictions and confidences, and average the cross-entropy with the labels.

    Args:
        logits: gives (B, C) logits of a batch.
        weight: of the model, where and in whose precision inputs are put.
        data: labelled samples, all of which are judged, in an order that mixes the classes.
        num_classes: K.
        batch_size: samples a forward pass.
        threshold: largest softmax below which a sample is rejected.
    """
    return in_batches(partial(_judged, logits, weight, data, num_classes, threshold), batch_size)


def _judged(
    logits: Callable[[Batch], Tensor],
    weight: Tensor,
    data: LabelledData,
    num_classes: int,
    threshold: float,
    batch_size: int,
) -> Judged:
    loss = torch.zeros((), dtype=torch.float64)
    bins = torch.zeros(num_classes * CALIBRATION_BINS, 3, dtype=torch.float64)
    known = torch.zeros(3, dtype=torch.int64)
    order = torch.randperm(len(data.labels), generator=torch.Generator().manual_seed(0))
    order = order[data.labels[order] >= 0]  # the others belong to no class
    own, parts, columns = own_part(order), [], num_classes
    with torch.no_grad():
        for batch in read(data, own, batch_size, weight):
            found = logits(batch)
            labels = data.labels[batch.samples].to(found.device)
            loss += F.cross_entropy(found, labels, reduction="sum").double().cpu()
            parts.append(found.argmax(dim=1).cpu())
            columns = max(num_classes, found.shape[1])
            confidence = found.softmax(dim=1).amax(dim=1).double().cpu()
            right = parts[-1] == labels.cpu()
            bins.index_add_(0, _bin(labels.cpu(), confidence), _tallies(confidence, right))
            kept = confidence >= threshold
            known += torch.stack([(kept & right).sum(), (kept & ~right).sum(), (~kept).sum()])
    columns = -least(-columns)
    pair = data.labels[own] * columns + torch.cat([*parts, own[:0]])
    confusion = torch.bincount(pair, minlength=num_classes * columns).view(num_classes, columns)
    loss, bins, known, confusion = summed_together(loss, bins, known, confusion)
    return Judged(
        confusion.numpy(),
        float(loss) / len(order),
        bins.view(num_classes, CALIBRATION_BINS, 3).numpy(),
        known.numpy(),
    )


def _bin(labels: Tensor, confidence: Tensor) -> Tensor:
    """Return the place of each sample's class and bin; a bin holds its upper edge."""
    place = (confidence * CALIBRATION_BINS).ceil().long() - 1
    return labels * CALIBRATION_BINS + place.clamp(0, CALIBRATION_BINS - 1)


def _tallies(confidence: Tensor, right: Tensor) -> Tensor:
    return torch.stack([torch.ones_like(confidence), right.double(), confidence], dim=1)


def calibration_errors(
    calibration: NDArray[np.float64], class_counts: tuple[int, ...], split: SplitName | None = None
) -> NDArray[np.float64]:
    """Compute the expected calibration error of overall, head, mid and tail (4,).

    Σ_b |right_b - confidence_b| / N over bins of confidence (Guo et al. 2017, Eq. 3), in [0, 1];
    NaN for a group without samples.

    Args:
        calibration: (K, bins, 3) samples, right ones and sum of confidences.
        class_counts: training samples of each class, which define the groups.
        split: rule of the groups.
    """
    _, groups = split_classes(class_counts, split)
    members = [list(range(len(calibration))), *(list(groups[g]) for g in GROUPS)]
    with np.errstate(invalid="ignore"):
        return np.array([_calibration_error(calibration[m].sum(axis=0)) for m in members])


def _calibration_error(bins: NDArray[np.float64]) -> float:
    samples, right, confidence = bins.T
    return float(np.abs(right - confidence).sum() / samples.sum())


def accepted(
    model: nn.Module,
    weight: Tensor,
    data: LabelledData,
    batch_size: int = 512,
    threshold: float = OPEN_THRESHOLD,
) -> int:
    """Count the samples of unknown classes whose largest softmax reaches the threshold."""
    count = 0
    with torch.no_grad():
        for batch in read(data, torch.arange(len(data.labels)), batch_size, weight):
            largest = logits_of(outputs_of(model, batch)).softmax(dim=1).amax(dim=1)
            count += int((largest >= threshold).sum())
    return count


def _sound_logits(model: nn.Module, data: LabelledData, num_classes: int, batch: Batch) -> Tensor:
    """Run a model and check its logits.

    Raises:
        InputError: there are none, of some class of the data, or one is no number.
    """
    logits = logits_of(outputs_of(model, batch), num_classes)
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


def _check_alone(
    logits: Callable[[Batch], Tensor], model: nn.Module, data: LabelledData, batch_size: int
) -> None:
    """See that samples of one batch have the same logits alone."""
    known = (data.labels >= 0).nonzero().flatten()
    few = known[:: max(len(known) // _COMPARED, 1)][: min(_COMPARED, batch_size)]

    def largest(batch: Batch) -> Tensor:
        with torch.no_grad():
            return logits(batch).amax(dim=1)

    batch = next(read(data, few, len(few), weight_of(model)))
    check_read_alone(largest(batch), batch, data, model, largest, "largest logit")


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
    unknown: LabelledData | None = None,
    split: SplitName | None = None,
    dtype: Precision = None,
    bn: BatchNormMode = "eval",
    batch_size: int = 256,
) -> Accuracy:
    """Compute the confusion matrix, accuracies and calibration errors.

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
        unknown: samples of classes that are not among the subject's, for open-set recognition:
            those whose largest softmax is below 0.1 are rejected.
        split: rule that defines head, mid and tail.
        dtype: precision of the model. Default: its own, single precision at least.
        bn: BatchNorm by its running statistics, or by those of each batch.
        batch_size: samples a forward pass.

    Raises:
        InputError: a value out of range, or data that cannot be read by index.
    """
    judged = evaluation_copy(subject.model, precision(dtype, subject), bn)
    weight, tested = weight_of(judged), subject.on(data).data
    logits = partial(_sound_logits, judged, tested, subject.num_classes)
    if bn == "eval":
        _check_alone(logits, judged, tested, batch_size)
    found = judge_all(logits, weight, tested, subject.num_classes, batch_size)
    name, per_class, group = group_accuracy(found.confusion, subject.class_counts, split)
    open_set = np.full(4, np.nan)
    if unknown is not None:
        count = accepted(judged, weight, unknown, batch_size)
        open_set = np.array([*found.known, count], float)
    return Accuracy(
        class_name=np.array(subject.class_names),
        training_count=np.array(subject.class_counts),
        confusion=found.confusion,
        per_class=per_class,
        group_name=np.array(["overall", *GROUPS]),
        group=group,
        ece=calibration_errors(found.calibration, subject.class_counts, split),
        split=np.array(name),
        open_set=open_set,
    )
