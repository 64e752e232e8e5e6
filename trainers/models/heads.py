"""Classifiers on top of the penultimate features."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HeadName = Literal["linear", "cosine"]


class CosineHead(nn.Module):
    """Compute logits s·cos(feature, class weight), without bias (Cao et al. 2019).

    The margin losses that want plain cosines subtract s·m from these logits, which is the same.

    Args:
        in_features: dimension of the features.
        num_classes: K.
        scale: s.
    """

    def __init__(self, in_features: int, num_classes: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        weight = torch.empty(num_classes, in_features).uniform_(-1, 1)
        self.weight = nn.Parameter(F.normalize(weight, dim=1))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (B, K)."""
        return self.scale * F.linear(F.normalize(features, dim=1), F.normalize(self.weight, dim=1))


class ScaledHead(nn.Module):
    """Multiply the logits of a classifier by one scale a class (Kang et al. 2020).

    Args:
        plain: classifier of K classes.
        num_classes: K.
    """

    def __init__(self, plain: nn.Linear | CosineHead, num_classes: int) -> None:
        super().__init__()
        self.plain = plain
        self.class_scale = nn.Parameter(torch.ones(num_classes))

    @property
    def weight(self) -> Tensor:
        """Return the weights (K, D) with their scales."""
        return self.class_scale[:, None] * self.plain.weight

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (B, K)."""
        return self.class_scale * self.plain(features)

    def folded(self) -> "nn.Linear | ScaledHead":
        """Return the same classifier with no parameters but a classifier's.

        Scales go into the weights and biases of a linear classifier; those of a cosine classifier
        cannot, and take no gradients.
        """
        if isinstance(self.plain, CosineHead):
            self.class_scale.requires_grad_(False)
            return self
        with torch.no_grad():
            self.plain.weight.mul_(self.class_scale[:, None])
            self.plain.bias.mul_(self.class_scale)
        return self.plain


Head = nn.Linear | CosineHead | ScaledHead


def make_head(
    name: HeadName,
    in_features: int,
    num_classes: int,
    scale: float = 1.0,
    *,
    initial: Literal["kaiming", "default"] = "kaiming",
) -> nn.Linear | CosineHead:
    """Build a classifier.

    Args:
        name: ``linear`` (with bias) or ``cosine``.
        in_features: dimension of the features.
        num_classes: K.
        scale: of the cosine head's logits.
        initial: weights of a linear head: ``kaiming`` normal, or PyTorch's default, of a standard
            deviation 1/√(3 in_features).
    """
    if name == "cosine":
        return CosineHead(in_features, num_classes, scale)
    head = nn.Linear(in_features, num_classes)
    if initial == "kaiming":
        nn.init.kaiming_normal_(head.weight)
    return head
