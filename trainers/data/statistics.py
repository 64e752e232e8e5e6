"""Means and standard deviations by which images are normalised. No tensors are imported here."""

from typing import Literal

Normalisation = Literal["cifar10", "cifar100", "imagenet", "inat", "clip"]
Statistics = tuple[tuple[float, ...], tuple[float, ...]]

CIFAR_STATISTICS: Statistics = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
IMAGENET_STATISTICS: Statistics = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
STATISTICS: dict[Normalisation, Statistics] = {
    "cifar10": CIFAR_STATISTICS,  # released LDAM-DRW code and its heirs, CIFAR-100 as well
    "cifar100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),  # GKP-GSA, M2m
    "imagenet": IMAGENET_STATISTICS,
    # iNaturalist 2018: released Saddle-LongTail and Focal-SAM code
    "inat": ((0.466, 0.471, 0.380), (0.195, 0.194, 0.192)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}
