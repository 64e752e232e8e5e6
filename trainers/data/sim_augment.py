"""SimAugment (Chen et al. 2020, App. A) of whole batches, without its blur.

A crop of 0.2 to 1 of the area and 3/4 to 4/3 of the aspect ratio, brought back to full size; a
mirror image in half the cases; colour jitter (brightness, contrast, saturation by 0.4, hue by 0.1,
in random order) in 0.8; turning grey in 0.2. Each image has draws of its own, in one pass over the
batch on its device.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import rgb_to_grayscale

_ATTEMPTS = 10  # of a crop that fits, before the whole image is taken
_STRENGTH, _HUE = 0.4, 0.1
Draw = Callable[..., Tensor]


def sim_augment(images: Tensor, generator: torch.Generator, *, flip: bool) -> Tensor:
    """Augment a batch; colour steps are left out of grey images.

    Args:
        images: (B, 1 or 3, S, S) uint8, on any device.
        generator: on their device.
        flip: whether to mirror images.

    Returns:
        (B, C, S, S) uint8.
    """

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=generator.device)

    batch, channels, side, _ = images.shape
    pixels = crop_and_resize(images.float() / 255, *random_boxes(batch, side, draw))
    if flip:
        pixels = _where(draw(batch) < 0.5, pixels.flip(3), pixels)
    jittered = _jitter(pixels, draw)
    pixels = _where(draw(batch) < 0.8, jittered, pixels)
    if channels == 3:
        pixels = _where(draw(batch) < 0.2, rgb_to_grayscale(pixels, 3), pixels)
    return (pixels * 255).round().to(torch.uint8)


def random_boxes(batch: int, side: int, draw: Draw) -> tuple[Tensor, Tensor]:
    """Draw the corner (B, 2) and the size (B, 2) of each crop, in pixels, row before column."""
    area = side**2 * (0.2 + 0.8 * draw(_ATTEMPTS, batch))
    ratio = ((2 * draw(_ATTEMPTS, batch) - 1) * math.log(4 / 3)).exp()
    sizes = torch.stack([(area / ratio).sqrt(), (area * ratio).sqrt()], dim=2).round()
    fits = ((sizes > 0) & (sizes <= side)).all(dim=2)
    first = fits.int().argmax(dim=0)
    size = sizes[first, torch.arange(batch, device=sizes.device)]
    size = torch.where(fits.any(dim=0)[:, None], size, float(side))
    return (draw(batch, 2) * (side - size + 1)).floor(), size


def crop_and_resize(images: Tensor, corner: Tensor, size: Tensor) -> Tensor:
    """Resize a box of each image to the size of the image, bilinearly.

    Args:
        images: (B, C, S, S) float.
        corner: (B, 2) first row and column of the box.
        size: (B, 2) rows and columns of the box, at most S.
    """
    side = images.shape[-1]
    at = torch.arange(side, device=images.device)
    centres = (at + 0.5) * (size / side)[:, :, None] - 0.5  # (B, 2, S), in pixels of the box
    inside = torch.minimum(centres.clamp(min=0), size[:, :, None] - 1) + corner[:, :, None]
    weights = (1 - (inside[..., None] - at).abs()).clamp(min=0)  # (B, 2, S, S)
    rows, columns = weights[:, None, 0], weights[:, None, 1]
    return rows @ images @ columns.transpose(2, 3)


def _jitter(pixels: Tensor, draw: Draw) -> Tensor:
    """Change brightness, contrast, saturation and hue, in a random order for each image."""
    batch = len(pixels)
    factors = 1 + _STRENGTH * (2 * draw(3, batch, 1, 1, 1) - 1)
    turns = _HUE * (2 * draw(batch, 1, 1) - 1)
    steps: list[Callable[[Tensor], Tensor]] = [
        lambda x: _blend(x, torch.zeros_like(x), factors[0]),
        lambda x: _blend(x, _grey(x).mean(dim=(1, 2, 3), keepdim=True), factors[1]),
    ]
    if pixels.shape[1] == 3:
        steps += [
            lambda x: _blend(x, _grey(x), factors[2]),
            lambda x: turn_hue(x, turns),
        ]
    order = draw(batch, len(steps)).argsort(dim=1)
    for place in range(len(steps)):
        changed = pixels
        for number, step in enumerate(steps):
            changed = _where(order[:, place] == number, step(pixels), changed)
        pixels = changed
    return pixels


def turn_hue(pixels: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of RGB images (B, 3, S, S) in [0, 1], by (B, 1, 1) full turns.

    Lightness max and chroma max - min stay; each channel follows the hexagon of the HSV cone.
    """
    red, green, blue = pixels.unbind(dim=1)
    high, low = pixels.amax(dim=1), pixels.amin(dim=1)
    chroma = high - low
    safe = torch.where(chroma > 0, chroma, 1.0)
    sixth = torch.where(
        high == red,
        (green - blue) / safe,
        torch.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    sixth = (sixth / 6 + turns) % 1.0 * 6
    offsets = torch.tensor([5.0, 3.0, 1.0], device=pixels.device).view(1, 3, 1, 1)
    place = (sixth[:, None] + offsets) % 6
    share = torch.minimum(place, 4 - place).clamp(0, 1)
    return high[:, None] - chroma[:, None] * share


def _blend(pixels: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return (factor * pixels + (1 - factor) * other).clamp(0, 1)


def _grey(pixels: Tensor) -> Tensor:
    return rgb_to_grayscale(pixels) if pixels.shape[1] == 3 else pixels


def _where(chosen: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(chosen.view(-1, 1, 1, 1), yes, no)
