"""A network of two branches (Zhou et al. 2020, BBN): all but the last block shared, then one each.

The features of an image are those of both branches side by side. In training, the first half of a
batch goes through the conventional branch and the second half through the re-balancing one, and the
features of a pair are 2 [l f_a ; (1 - l) f_b]: cumulative learning moves l from 1 to 0.
"""

import torch
from torch import Tensor, nn

from trainers.models.heads import Head
from trainers.models.network import Network


class Bilateral(Network):
    """Split the last block of a network in two.

    Args:
        base: the network; its last block becomes the conventional branch, and it loses its head.
        twin: another of the same kind, whose last block becomes the re-balancing branch.
        head: classifier on twice the features.
    """

    share: Tensor

    def __init__(self, base: Network, twin: Network, head: Head) -> None:
        super().__init__()
        self.conventional, self.rebalancing = (_take_last_block(net) for net in (base, twin))
        del base.head
        self.base, self.head, self.contrast = base, head, None
        self.paired = False  # whether batches in training are pairs
        self.register_buffer("share", torch.tensor(0.5), persistent=False)  # l

    def shared(self, x: Tensor) -> Tensor:
        """Run all stages but the last; of pairs, each half by its own batch statistics."""
        if not self._in_pairs:
            return self.base.shared(x)
        return torch.cat([self.base.shared(half) for half in x.chunk(2)])

    def last(self, shared: Tensor) -> Tensor:
        """Run the last stage and both branches; return features (B, 2D), of pairs one a pair."""
        blocks = self.conventional, self.rebalancing
        if not self._in_pairs:
            out = self.base.last_stage(shared)
            return torch.cat([block(out).mean(dim=(2, 3)) for block in blocks], dim=1)
        first, second = (
            block(self.base.last_stage(half)).mean(dim=(2, 3))
            for block, half in zip(blocks, shared.chunk(2), strict=True)
        )
        share = self.share.to(first.dtype)
        return torch.cat([2 * share * first, 2 * (1 - share) * second], dim=1)

    def last_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the last stage and of the branches."""
        parts = self.base.last_stage, self.conventional, self.rebalancing
        return [parameter for part in parts for parameter in part.parameters()]

    @property
    def halves(self) -> int:
        """Return 2 where a batch is one of pairs."""
        return 2 if self._in_pairs else 1

    @property
    def last_stage(self) -> nn.Sequential:
        """Return the shared blocks of the last stage."""
        return self.base.last_stage

    @property
    def _in_pairs(self) -> bool:
        return self.training and self.paired


def _take_last_block(network: Network) -> nn.Module:
    blocks = network.last_stage
    last = blocks[-1]
    del blocks[-1]
    return last
