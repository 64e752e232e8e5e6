"""Find the samples of every class, in one pass over the labels."""

import torch
from torch import Tensor


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
