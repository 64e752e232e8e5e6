"""torchvision's ResNets with this project's classifiers."""

from torch import Tensor, nn
from torchvision import models
from torchvision.models.resnet import BasicBlock

from trainers.models.heads import HeadName, make_head
from trainers.models.network import Network


class TorchvisionResNet(Network):
    """Split a torchvision ResNet into stages and head.

    Args:
        name: a ResNet builder of torchvision, such as ``resnet50`` or ``resnext50_32x4d``; or
            ``resnet10``, of one block a stage.
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
        if name == "resnet10":
            self.backbone = models.ResNet(BasicBlock, [1, 1, 1, 1])
        else:
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
        self.contrast = None

    def shared(self, x: Tensor) -> Tensor:
        """Run all stages but the last."""
        net = self.backbone
        out = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        return net.layer3(net.layer2(net.layer1(out)))

    def last(self, shared: Tensor) -> Tensor:
        """Run the last stage; return penultimate features (B, D)."""
        return self.backbone.avgpool(self.backbone.layer4(shared)).flatten(1)

    def last_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the last stage."""
        return list(self.backbone.layer4.parameters())

    @property
    def last_stage(self) -> nn.Sequential:
        """Return the blocks of the last stage."""
        stage: nn.Sequential = self.backbone.layer4
        return stage
