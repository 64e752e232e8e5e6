"""Tell which samples count in the mean loss of their class: those whose target is not ignored.

The classes' means are over these alone, so that a class's mean, times its share of a selection's
weights, adds up to the scope's loss. Weights of classes leave each class's mean as it is.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscape.subject.subject import Selection, Subject


def counted_labels(subject: Subject) -> Tensor:
    """Return the class of each sample (N,) int64, -1 where its target is ignored."""
    return subject.data.labels.where(subject.counts(), -1)


def counted(subject: Subject, selection: Selection) -> Selection:
    """Leave out the samples whose target is ignored."""
    kept = counted_labels(subject)[selection.indices] >= 0
    return Selection(selection.indices[kept], selection.weights[kept])


def frequencies_of_classes(subject: Subject, selection: Selection) -> Tensor:
    """Compute the share of each class among the samples that count (K,) float64.

    Of a draw, each of which stands for as many samples of its class in the data.
    """
    drawn, kept = (
        torch.bincount(subject.data.labels[indices], minlength=subject.num_classes).double()
        for indices in (selection.indices, counted(subject, selection).indices)
    )
    labels = subject.data.labels
    of_class = torch.bincount(labels[labels >= 0], minlength=subject.num_classes)
    found = of_class * kept / drawn.clamp(min=1)
    return found / found.sum()


def shares_of_classes(subject: Subject, selection: Selection) -> Tensor:
    """Sum the weights of each class's samples (K,) float64: its share of the mean loss."""
    labels = subject.data.labels[selection.indices]
    return torch.bincount(labels, selection.weights, minlength=subject.num_classes)


def mixture(subject: Subject, selection: Selection) -> dict[str, NDArray[np.float64]]:
    """List what mixes the classes' mean losses and accuracies, as records hold it."""
    return {
        "share": shares_of_classes(subject, selection).numpy(),
        "frequency": frequencies_of_classes(subject, selection).numpy(),
    }
