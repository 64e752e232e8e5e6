"""AdaptFormer (Chen et al. 2022): a bottleneck beside the feed-forward part of a block."""

import math

import torch
from torch import Tensor, nn


class Adapter(nn.Module):
    """Map tokens x to s (W_up ReLU(W_down LN(x) + b_down) + b_up), which is zero at first.

    Initialisation, norm and the learnt scale s are those of the released LIFT code.

    Args:
        width: D, of the tokens.
        bottleneck: between W_down and W_up.
    """

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.down, self.up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        self.scale = nn.Parameter(torch.ones(1))
        nn.init.kaiming_normal_(self.down.weight, a=math.sqrt(5))
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, T, D) to (B, T, D)."""
        return self.scale * self.up(self.down(self.norm(tokens)).relu())


def bottleneck_of(num_classes: int, blocks: int) -> int:
    """Return the width of the bottlenecks, 2^⌊log₂(K / 2L)⌋ and at least 1 (Shi et al. 2024, LIFT).

    The adapters of all L blocks then have about as many weights as the classifier, or fewer.
    """
    return 2 ** max(0, math.floor(math.log2(num_classes / (2 * blocks))))
