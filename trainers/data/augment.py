"""Augmentation of whole batches on the device, from an explicit generator."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class CropFlip:
    """Crop at random after zero padding, then flip half of the images horizontally.

    Padding 4 with flip is the CIFAR standard (He et al. 2016, Sec. 4.2).

    Args:
        padding: pixels added on each side.
        flip: whether to mirror images; off for digits, whose mirror images are no digits.
    """

    padding: int
    flip: bool

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Augment ``images`` (B, C, H, W) of any dtype; the generator is on their device."""
        batch, _, height, width = images.shape
        device = images.device

        def draw(high: int) -> Tensor:
            return torch.randint(high, (batch, 1), generator=generator, device=device)

        padded = F.pad(images, [self.padding] * 4)
        rows = draw(2 * self.padding + 1) + torch.arange(height, device=device)
        columns = draw(2 * self.padding + 1) + torch.arange(width, device=device)
        if self.flip:
            columns = torch.where(draw(2).bool(), columns.flip(1), columns)
        at = torch.arange(batch, device=device)[:, None, None]
        cropped = padded.permute(0, 2, 3, 1)[at, rows[:, :, None], columns[:, None, :]]
        return cropped.permute(0, 3, 1, 2)
