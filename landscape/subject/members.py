"""Find the samples of every class, in one pass over the labels or the data."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from landscape.subject.batch import Batch


def members_of_classes(labels: Tensor, classes: int) -> tuple[Tensor, ...]:
    """List the samples of each class, in their order; a label outside of the classes has none.

    Args:
        labels: (N,).
        classes: K.

    Returns:
        K tensors of indices.
    """
    order = labels.argsort(stable=True)
    inside = (labels >= 0) & (labels < classes)
    counts = torch.bincount(labels[inside], minlength=classes)
    return order[inside[order]].split(counts.tolist())


def runs_of_classes(batches: Iterable[Batch], labels: Tensor) -> Iterator[tuple[int, Batch]]:
    """Split batches wherever the class changes, or whatever else their samples are grouped by.

    Args:
        batches: of samples that lie class by class.
        labels: (N,) of all of them, in their order.

    Yields:
        A class and some of its samples.
    """
    seen = 0
    for batch in batches:
        own, counts = labels[seen : seen + batch.size].unique_consecutive(return_counts=True)
        seen, start = seen + batch.size, 0
        for c, count in zip(own.tolist(), counts.tolist(), strict=True):
            yield c, batch.rows(slice(start, start + count))
            start += count
