"""The table of models, and the one way to build them. The table imports no tensors."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from landscape.errors import unknown
from trainers.models.clip_files import is_clip

if TYPE_CHECKING:
    from trainers.models.heads import HeadName
    from trainers.models.network import Network

MODELS = {
    "resnet8": "three residual blocks, 75,002 parameters on grey digits",
    "resnet20": "CIFAR ResNet-20, option A",
    "resnet30": "ResNet-32 without its last block, default head: released CC-SAM and PLOT code",
    "resnet32": "CIFAR ResNet-32, option A, 464,154 parameters for ten classes",
    "resnet44": "CIFAR ResNet-44, option A",
    "resnet56": "CIFAR ResNet-56, option A",
    "resnet10": "ResNet of torchvision's basic blocks, one a stage",
    "resnet50": "torchvision ResNet-50",
    "resnext50": "torchvision ResNeXt-50 32x4d",
    "resnet152": "torchvision ResNet-152",
    "clip:PATH": "CLIP's image encoder, of a folder or of the Hugging Face hub (extra clip)",
}
_TORCHVISION = {
    "resnet10": "resnet10",
    "resnet50": "resnet50",
    "resnext50": "resnext50_32x4d",
    "resnet152": "resnet152",
}


def check_model(name: str) -> None:
    """Check that a name is in the table, or of a CLIP model.

    Raises:
        InputError: it is not.
    """
    if name not in MODELS and not is_clip(name):
        raise unknown("model", name, MODELS)


def build_model(
    name: str,
    num_classes: int,
    channels: int = 3,
    head: "HeadName" = "linear",
    scale: float = 1.0,
    *,
    contrast: bool = False,
    prototype_norm: bool = False,
    projection: int = 0,
    class_scale: bool = False,
    bilateral: bool = False,
    vision: Mapping[str, Any] | None = None,
    bottleneck: int = 0,
) -> "Network":
    """Build a network with random weights from torch's global generator.

    Args:
        name: a key of :data:`MODELS`.
        num_classes: K.
        channels: of the input images.
        head: classifier.
        scale: of a cosine head's logits.
        contrast: add the projection and the prototypes of contrastive training.
        prototype_norm: batch-normalise the prototypes' hidden layer.
        projection: add a projection to so many dimensions, of parametric contrastive training.
        class_scale: give the classifier a scale for each class.
        bilateral: split the last block into two branches.
        vision: of a CLIP model, how its image encoder is built.
        bottleneck: of a CLIP model, width of its adapters; 0 fine-tunes the encoder.

    Raises:
        InputError: the name is unknown.
    """
    check_model(name)
    if vision is not None:
        from trainers.models.clip import CLIP

        model: Network = CLIP(vision, num_classes, scale, bottleneck)
    elif bilateral:
        model = _build_bilateral(name, num_classes, channels, head, scale)
    else:
        model = _build_plain(name, num_classes, channels, head, scale)
    width = model.head.weight.shape[1]
    if class_scale:
        from trainers.models.heads import ScaledHead

        assert not isinstance(model.head, ScaledHead)
        model.head = ScaledHead(model.head, num_classes)
    if contrast:
        from trainers.models.contrastive import Contrast

        model.contrast = Contrast(width, prototype_norm=prototype_norm)
    if projection:
        from trainers.models.projection import Projection

        model.contrast = Projection(width, projection)
    return model


def _build_bilateral(
    name: str, num_classes: int, channels: int, head: "HeadName", scale: float
) -> "Network":
    from trainers.models.bilateral import Bilateral
    from trainers.models.heads import make_head

    base, twin = (_build_plain(name, num_classes, channels, head, scale) for _ in range(2))
    width = 2 * base.head.weight.shape[1]
    return Bilateral(base, twin, make_head(head, width, num_classes, scale))


def _build_plain(
    name: str, num_classes: int, channels: int, head: "HeadName", scale: float
) -> "Network":
    if name in _TORCHVISION:
        from trainers.models.backbones import TorchvisionResNet

        return TorchvisionResNet(_TORCHVISION[name], num_classes, channels, head, scale)
    from trainers.models.resnet_cifar import CifarResNet

    depth = int(name.removeprefix("resnet"))
    return CifarResNet(depth, num_classes, channels, head, scale)
