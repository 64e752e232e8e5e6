"""AutoAugment (Cubuk et al. 2019) of whole batches, with one sub-policy an image.

The images of a batch that are due the same operation at the same magnitude take it together.
Operations and magnitudes are torchvision's, of ten levels each.
"""

import math
from collections import defaultdict
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

Operation = tuple[str, float, int]  # name, probability, level from 0 to 9 (no meaning for some)

# the 25 sub-policies found on CIFAR-10 (Table 7)
CIFAR10: tuple[tuple[Operation, Operation], ...] = (
    (("Invert", 0.1, 7), ("Contrast", 0.2, 6)),
    (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9)),
    (("Sharpness", 0.8, 1), ("Sharpness", 0.9, 3)),
    (("ShearY", 0.5, 8), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.5, 8), ("Equalize", 0.9, 2)),
    (("ShearY", 0.2, 7), ("Posterize", 0.3, 7)),
    (("Color", 0.4, 3), ("Brightness", 0.6, 7)),
    (("Sharpness", 0.3, 9), ("Brightness", 0.7, 9)),
    (("Equalize", 0.6, 5), ("Equalize", 0.5, 1)),
    (("Contrast", 0.6, 7), ("Sharpness", 0.6, 5)),
    (("Color", 0.7, 7), ("TranslateX", 0.5, 8)),
    (("Equalize", 0.3, 7), ("AutoContrast", 0.4, 8)),
    (("TranslateY", 0.4, 3), ("Sharpness", 0.2, 6)),
    (("Brightness", 0.9, 6), ("Color", 0.2, 8)),
    (("Solarize", 0.5, 2), ("Invert", 0.0, 3)),
    (("Equalize", 0.2, 0), ("AutoContrast", 0.6, 0)),
    (("Equalize", 0.2, 8), ("Equalize", 0.6, 4)),
    (("Color", 0.9, 9), ("Equalize", 0.6, 6)),
    (("AutoContrast", 0.8, 4), ("Solarize", 0.2, 8)),
    (("Brightness", 0.1, 3), ("Color", 0.7, 0)),
    (("Solarize", 0.4, 5), ("AutoContrast", 0.9, 3)),
    (("TranslateY", 0.9, 9), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.9, 2), ("Solarize", 0.8, 3)),
    (("Equalize", 0.8, 8), ("Invert", 0.1, 3)),
    (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, 1)),
)
_SIGNED = {"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate"} | {
    *("Brightness", "Color", "Contrast", "Sharpness")
}
_FILL = [128.0]  # grey, as in the released code of balanced contrastive learning


def auto_augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Apply one of the CIFAR-10 sub-policies to each image.

    Args:
        images: (B, 3, S, S) uint8, on any device.
        generator: on their device.
    """
    augmented = images.clone()
    draws = torch.rand((5, len(images)), generator=generator, device=generator.device).tolist()
    policies = [CIFAR10[int(len(CIFAR10) * draw)] for draw in draws[0]]
    for place in (0, 1):
        due: dict[tuple[str, int, bool], list[int]] = defaultdict(list)
        for i, (taken, sign) in enumerate(zip(*draws[1 + 2 * place : 3 + 2 * place], strict=True)):
            name, probability, level = policies[i][place]
            if taken < probability:
                due[name, level, name in _SIGNED and sign < 0.5].append(i)
        for (name, level, negative), members in due.items():
            at = torch.tensor(members, device=images.device)
            augmented[at] = apply_operation(name, augmented[at], level, negative=negative)
    return augmented


def apply_operation(name: str, images: Tensor, level: int, *, negative: bool = False) -> Tensor:
    """Apply an operation to all images (B, 3, S, S) uint8.

    Args:
        name: as in the policies.
        images: to be transformed.
        level: of its magnitude, 0 to 9.
        negative: whether to take the magnitude below zero.
    """
    share = (-level if negative else level) / 9
    return _OPERATIONS[name](images, share)


def _affine(images: Tensor, translate: tuple[float, float], shear: tuple[float, float]) -> Tensor:
    degrees = [math.degrees(math.atan(s)) for s in shear]
    shift = [int(t) for t in translate]
    return F.affine(images, 0.0, shift, 1.0, degrees, fill=_FILL, center=[0, 0])


# from images and the share of the largest magnitude, in [-1, 1]
_OPERATIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "ShearX": lambda x, share: _affine(x, (0, 0), (0.3 * share, 0)),
    "ShearY": lambda x, share: _affine(x, (0, 0), (0, 0.3 * share)),
    "TranslateX": lambda x, share: _affine(x, (150 / 331 * x.shape[-1] * share, 0), (0, 0)),
    "TranslateY": lambda x, share: _affine(x, (0, 150 / 331 * x.shape[-2] * share), (0, 0)),
    "Rotate": lambda x, share: F.rotate(x, 30.0 * share, fill=_FILL),
    "Brightness": lambda x, share: F.adjust_brightness(x, 1 + 0.9 * share),
    "Color": lambda x, share: F.adjust_saturation(x, 1 + 0.9 * share),
    "Contrast": lambda x, share: F.adjust_contrast(x, 1 + 0.9 * share),
    "Sharpness": lambda x, share: F.adjust_sharpness(x, 1 + 0.9 * share),
    "Posterize": lambda x, share: F.posterize(x, 8 - round(4 * share)),
    "Solarize": lambda x, share: F.solarize(x, 255 * (1 - share)),
    "AutoContrast": lambda x, _: F.autocontrast(x),
    "Equalize": lambda x, _: F.equalize(x),
    "Invert": lambda x, _: F.invert(x),
}
