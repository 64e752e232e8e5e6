"""The three views of balanced contrastive learning (Zhu et al. 2022), as GKP-GSA released them.

The first view is classified: crop, flip, AutoAugment (Cubuk et al. 2019, CIFAR-10 policy) and
Cutout (DeVries & Taylor 2017). The other two are contrasted: SimAugment (Chen et al. 2020, App. A)
without its blur. Parametric contrastive learning has one of these, and a method of one view that
augments strongly none.

Images decoded one by one come in sizes of their own, for which nothing is released: their first
view is cropped as their plain training is, and AutoAugment follows its ImageNet policy.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from trainers.data.augment import CropFlip

if TYPE_CHECKING:
    from torchvision.transforms import v2


@dataclass(frozen=True)
class AugmentedViews:
    """Make views of each image of a batch, view by view, on its device.

    Steps that need colour (AutoAugment, saturation, hue, turning grey) are left out of grey images.

    Args:
        flip: whether to mirror images; off for digits, whose mirror images are no digits.
        contrasted: views beside the first.
    """

    flip: bool
    contrasted: int = 2

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Turn (B, C, S, S) uint8 images into (V B, C, S, S), all first views before all second.

        Args:
            images: of 1 or 3 channels, on any device.
            generator: on their device.
        """
        from trainers.data.auto_augment import auto_augment
        from trainers.data.sim_augment import sim_augment

        side = images.shape[-1]
        first = CropFlip(padding=side // 8, flip=self.flip)(images, generator)
        if images.shape[1] == 3:
            first = auto_augment(first, generator)
        contrasted = [
            sim_augment(images, generator, flip=self.flip) for _ in range(self.contrasted)
        ]
        return torch.cat([cut_out(first, generator), *contrasted])


def cut_out(images: Tensor, generator: torch.Generator) -> Tensor:
    """Blacken a square of half the side (16 pixels of 32) around a random pixel of each image.

    Black, not the mean colour: the released code cuts before it normalises.

    Args:
        images: (B, C, S, S).
        generator: on their device.
    """
    batch, _, side, _ = images.shape
    reach, at = side // 4, torch.arange(side, device=images.device)
    centres = torch.randint(side, (2, batch, 1), generator=generator, device=generator.device)
    rows, columns = (at >= centres - reach) & (at < centres + reach)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def decoded_views(side: int) -> "tuple[v2.Transform, v2.Transform, v2.Transform]":
    """Make the three views of one decoded colour image (3, H, W) uint8, each (3, S, S).

    Args:
        side: S.
    """
    from torchvision.transforms import v2

    cropped = [v2.RandomResizedCrop(side, antialias=True), v2.RandomHorizontalFlip()]
    augment = v2.AutoAugment(v2.AutoAugmentPolicy.IMAGENET, fill=128)
    contrasted = _contrasted(side)
    return v2.Compose([*cropped, augment, v2.Lambda(_cut_out)]), contrasted, contrasted


def _contrasted(side: int) -> "v2.Compose":
    from torchvision.transforms import v2

    cropped = v2.RandomResizedCrop(side, scale=(0.2, 1.0), antialias=True)
    jitter = v2.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
    steps = [v2.RandomHorizontalFlip(), v2.RandomApply([jitter], p=0.8), v2.RandomGrayscale(p=0.2)]
    return v2.Compose([cropped, *steps])


def _cut_out(image: Tensor) -> Tensor:
    return cut_out(image[None], torch.default_generator)[0]
