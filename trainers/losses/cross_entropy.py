"""Cross-entropy."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

PerSample = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(class_counts: Tensor) -> PerSample:  # noqa: ARG001
    """Build ``(logits (B, K), labels (B,)) -> (B,)``, -log softmax(logits)_y.

    Args:
        class_counts: not used; every loss is built from the training counts.
    """
    return lambda logits, labels: F.cross_entropy(logits, labels, reduction="none")
