"""CIFAR ResNets with parameter-free shortcuts (option A; He et al. 2016, Sec. 4.2).

Depth 6n + 2: three stages of n blocks with 16, 32 and 64 channels, each block two 3 x 3
convolutions; where the shape changes, the shortcut takes every second pixel and pads zero channels
on both sides. ResNet-32 with a linear head for ten classes has 464,154 parameters.
"""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from trainers.models.heads import HeadName, make_head
from trainers.models.network import Network


class Block(nn.Module):
    """Apply two 3 x 3 convolutions and an option-A shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.padding = stride, (channels - in_channels) // 2

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H', W')."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        shortcut = x[:, :, :: self.stride, :: self.stride] if self.stride > 1 else x
        if self.padding:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, self.padding, self.padding))
        return F.relu(out + shortcut)


class CifarResNet(Network):
    """Build a ResNet of depth 6n + 2 for small images.

    Args:
        depth: 8, 20, 32, 44, 56, …; 30 is ResNet-32 without its last block, the network of the
            released CC-SAM and PLOT code, whose head has PyTorch's default weights.
        num_classes: K.
        channels: of the input images.
        head: classifier.
        scale: of a cosine head's logits.

    Raises:
        ValueError: depth is not 6n + 2.
    """

    def __init__(
        self,
        depth: int,
        num_classes: int,
        channels: int = 3,
        head: HeadName = "linear",
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        if depth < 8 or ((depth - 2) % 6 and depth != 30):
            raise ValueError(f"depth {depth} is not 6n + 2")
        blocks = 5 if depth == 30 else (depth - 2) // 6
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, stride=1)
        self.layer2 = _stage(16, 32, blocks, stride=2)
        self.layer3 = _stage(32, 64, blocks - (depth == 30), stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        initial: Literal["kaiming", "default"] = "default" if depth == 30 else "kaiming"
        self.head = make_head(head, 64, num_classes, scale, initial=initial)
        self.contrast = None

    def shared(self, x: Tensor) -> Tensor:
        """Run all stages but the last; return (B, 32, H/2, W/2)."""
        return self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x)))))

    def last(self, shared: Tensor) -> Tensor:
        """Run the last stage; return penultimate features (B, 64)."""
        return self.layer3(shared).mean(dim=(2, 3))

    def last_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the last stage."""
        return list(self.layer3.parameters())

    @property
    def last_stage(self) -> nn.Sequential:
        """Return the blocks of the last stage."""
        return self.layer3


def _stage(in_channels: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    first = Block(in_channels, channels, stride)
    return nn.Sequential(first, *(Block(channels, channels, 1) for _ in range(blocks - 1)))
