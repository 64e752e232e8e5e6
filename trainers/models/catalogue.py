"""The table of models, and the one way to build them. The table imports no tensors."""

from typing import TYPE_CHECKING, Literal

from landscape.errors import unknown

if TYPE_CHECKING:
    from torch import nn

MODELS = {
    "resnet8": "three residual blocks, 75,002 parameters on grey digits",
    "resnet20": "CIFAR ResNet-20, option A",
    "resnet32": "CIFAR ResNet-32, option A, 464,154 parameters for ten classes",
    "resnet44": "CIFAR ResNet-44, option A",
    "resnet56": "CIFAR ResNet-56, option A",
    "resnet50": "torchvision ResNet-50",
    "resnext50": "torchvision ResNeXt-50 32x4d",
    "resnet152": "torchvision ResNet-152",
}
_TORCHVISION = {
    "resnet50": "resnet50",
    "resnext50": "resnext50_32x4d",
    "resnet152": "resnet152",
}


def build_model(
    name: str,
    num_classes: int,
    channels: int = 3,
    head: Literal["linear", "cosine"] = "linear",
    scale: float = 1.0,
) -> "nn.Module":
    """Build a network with random weights from torch's global generator.

    Args:
        name: a key of :data:`MODELS`.
        num_classes: K.
        channels: of the input images.
        head: classifier.
        scale: of a cosine head's logits.

    Raises:
        InputError: the name is unknown.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    if name in _TORCHVISION:
        from trainers.models.backbones import TorchvisionResNet

        return TorchvisionResNet(_TORCHVISION[name], num_classes, channels, head, scale)
    from trainers.models.resnet_cifar import CifarResNet

    return CifarResNet(int(name.removeprefix("resnet")), num_classes, channels, head, scale)
