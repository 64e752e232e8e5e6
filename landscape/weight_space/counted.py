"""Tell which samples count in the mean loss of their class: those whose target is not ignored.

The classes' means are over these alone, so that a class's mean, times its share of a selection's
weights, adds up to the scope's loss. Weights of classes leave each class's mean as it is.
"""

import torch
from torch import Tensor

from landscape.subject.subject import Selection, Subject


def counted_labels(subject: Subject) -> Tensor:
    """Return the class of each sample (N,) int64, -1 where its target is ignored."""
    return subject.data.labels.where(subject.counts(), -1)


def counted(subject: Subject, selection: Selection) -> Selection:
    """Leave out the samples whose target is ignored."""
    kept = counted_labels(subject)[selection.indices] >= 0
    return Selection(selection.indices[kept], selection.weights[kept])


def shares_of_classes(subject: Subject, selection: Selection) -> Tensor:
    """Sum the weights of each class's samples (K,) float64: its share of the mean loss."""
    labels = subject.data.labels[selection.indices]
    return torch.bincount(labels, selection.weights, minlength=subject.num_classes)
