"""torchvision's ResNets with this project's classifiers, from random weights."""

from torch import Tensor, nn
from torchvision import models

from trainers.models.heads import HeadName, make_head


class TorchvisionResNet(nn.Module):
    """A torchvision ResNet split into features and head.

    Args:
        name: a ResNet builder of torchvision, such as ``resnet50`` or ``resnext50_32x4d``.
        num_classes: K.
        channels: of the input images.
        head: classifier.
        scale: of a cosine head's logits.
    """

    def __init__(
        self,
        name: str,
        num_classes: int,
        channels: int = 3,
        head: HeadName = "linear",
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.backbone = models.get_model(name, weights=None)
        if channels != 3:
            first = self.backbone.conv1
            self.backbone.conv1 = nn.Conv2d(
                channels,
                first.out_channels,
                first.kernel_size,
                first.stride,
                first.padding,
                bias=False,
            )
        width = self.backbone.fc.in_features
        self.backbone.fc = nn.Identity()
        self.head = make_head(head, width, num_classes, scale)

    def features(self, x: Tensor) -> Tensor:
        """Return penultimate features (B, D)."""
        return self.backbone(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, K)."""
        return self.head(self.features(x))
