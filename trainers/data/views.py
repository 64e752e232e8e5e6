"""The three views of balanced contrastive learning (Zhu et al. 2022), as GKP-GSA released them.

The first view is classified: crop, flip, AutoAugment (Cubuk et al. 2019, CIFAR-10 policy) and
Cutout (DeVries & Taylor 2017). The other two are contrasted: SimAugment (Chen et al. 2020, App. A)
without its blur.

Images decoded one by one come in sizes of their own, for which nothing is released: their first
view is cropped as their plain training is, and AutoAugment follows its ImageNet policy.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms import v2


@dataclass(frozen=True)
class ThreeViews:
    """Three views of each image of a batch, view by view.

    Each image is transformed by itself, on the CPU. Steps that need colour (AutoAugment,
    saturation, hue, turning grey) are left out of grey images.

    Args:
        flip: whether to mirror images; off for digits, whose mirror images are no digits.
    """

    flip: bool

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Turn (B, C, S, S) uint8 images into (3B, C, S, S), all first views before all second.

        Args:
            images: of 1 or 3 channels, on any device.
            generator: on their device; one number is drawn from it.
        """
        channels, side = images.shape[1], images.shape[-1]
        classified = self._classified(channels, side)
        contrasted = _contrasted(channels, side, self.flip)
        seed = torch.randint(2**31, (), generator=generator, device=generator.device)
        pixels = images.cpu()
        with torch.random.fork_rng(devices=[]):
            # torch.manual_seed would seed the GPUs as well, and those are not restored
            torch.default_generator.manual_seed(int(seed))
            views = [view(one) for view in (classified, contrasted, contrasted) for one in pixels]
        return torch.stack(views).to(images.device)

    def _classified(self, channels: int, side: int) -> v2.Compose:
        steps = [v2.RandomCrop(side, padding=side // 8), *_flips(self.flip)]
        if channels == 3:
            # the released code fills with grey what a rotation or a shift uncovers
            steps.append(v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10, fill=128))
        return v2.Compose([*steps, v2.Lambda(_cut_out)])


def decoded_views(side: int) -> tuple[v2.Transform, v2.Transform, v2.Transform]:
    """Make the three views of one decoded colour image (3, H, W) uint8, each (3, S, S).

    Args:
        side: S.
    """
    cropped = [v2.RandomResizedCrop(side, antialias=True), *_flips(True)]
    augment = v2.AutoAugment(v2.AutoAugmentPolicy.IMAGENET, fill=128)
    contrasted = _contrasted(3, side, True)
    return v2.Compose([*cropped, augment, v2.Lambda(_cut_out)]), contrasted, contrasted


def _contrasted(channels: int, side: int, flip: bool) -> v2.Compose:
    steps = [v2.RandomResizedCrop(side, scale=(0.2, 1.0), antialias=True), *_flips(flip)]
    if channels == 3:
        jitter = v2.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
        return v2.Compose([*steps, v2.RandomApply([jitter], p=0.8), v2.RandomGrayscale(p=0.2)])
    jitter = v2.ColorJitter(brightness=0.4, contrast=0.4)
    return v2.Compose([*steps, v2.RandomApply([jitter], p=0.8)])


def _flips(flip: bool) -> list[v2.Transform]:
    return [v2.RandomHorizontalFlip()] if flip else []


def _cut_out(image: Tensor) -> Tensor:
    """Blacken a square of half the side (16 pixels of 32) around a random pixel."""
    side = image.shape[-1]
    reach = side // 4
    row, column = torch.randint(side, (2,)).tolist()
    # black, not the mean colour: the released code cuts before it normalises
    cut = image.clone()
    cut[:, max(row - reach, 0) : row + reach, max(column - reach, 0) : column + reach] = 0
    return cut
