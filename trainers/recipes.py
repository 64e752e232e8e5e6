"""The named recipes: optimiser and schedule of the papers' runs.

No tensor library is imported here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Literal

from trainers.data.statistics import Normalisation


@dataclass(frozen=True)
class Recipe:
    """Describe optimiser and schedule of a training run."""

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    schedule: Literal["step", "cosine"]
    momentum: float = 0.9
    warmup_epochs: int = 0  # linear, epoch e at (e + 1) / warmup of the way
    warmup_start: float = 0.0  # share of lr from which it starts
    milestones: tuple[int, ...] = ()  # epochs, from 0, at which the factor changes
    factors: tuple[float, ...] = ()  # of lr from each milestone on
    drop_last: bool = False
    jitter: bool = False  # of images read from files: brightness, contrast, saturation by 0.4

    def scaled(self, epochs: int) -> "Recipe":
        """Stretch warm-up and milestones to another number of epochs."""
        share = epochs / self.epochs
        return replace(
            self,
            epochs=epochs,
            warmup_epochs=round(self.warmup_epochs * share),
            milestones=tuple(round(m * share) for m in self.milestones),
        )


@dataclass(frozen=True)
class Preset:
    """Name a recipe; network and normalisation of its runs, where the data have others.

    Args:
        summary: whose runs these are, and what of them is not theirs.
        recipe: optimiser and schedule.
        model: a network of :data:`trainers.models.catalogue.MODELS`.
        normalisation: of the pixels, where it is not that of the images.
    """

    summary: str
    recipe: Recipe
    model: str | None = None
    normalisation: Normalisation | None = None


_FINE_TUNING = Recipe(20, 128, 0.01, 5e-4, "cosine")
_cosine = partial(Recipe, schedule="cosine", jitter=True)  # of the large sets
# the common CIFAR recipe, rate by steps
_STEPS = Recipe(
    200, 128, 0.1, 2e-4, "step", warmup_epochs=5, milestones=(160, 180), factors=(0.1, 0.01)
)
# Zhou's code decays an epoch early, and warms up from a third
_EARLY = replace(_STEPS, warmup_start=1 / 3, milestones=(159, 179), drop_last=True)
_KANG, _MISLAS = (
    f"batch of the paper, which prints no more; the rest as {whose}, its rate by batch"
    for whose in ("Kang et al. 2020", "MiSLAS")
)

RECIPES: Mapping[str, Preset] = MappingProxyType(
    {
        "a": Preset(
            "LDAM-DRW and Saddle-LongTail, released code on CIFAR-LT",
            replace(_STEPS, factors=(1e-2, 1e-4)),
        ),
        "b": Preset(
            "Focal-SAM, released code on CIFAR-LT; weight decay 1e-3 on 100 classes",
            Recipe(200, 64, 0.1, 2e-4, "cosine"),
        ),
        "c": Preset(
            "BCL, as in GKP-GSA's released code on CIFAR-LT",
            replace(_STEPS, batch_size=256, lr=0.15, weight_decay=5e-4, drop_last=True),
        ),
        "d": Preset(
            "CC-SAM, released code on CIFAR-LT; PLOT's batch is 128",
            replace(_EARLY, batch_size=64),
        ),
        "mislas": Preset("MiSLAS, released code on CIFAR-LT", _STEPS),
        "gcl": Preset("GCL, released code on CIFAR-LT", replace(_STEPS, batch_size=64)),
        "bbn": Preset(
            "BBN, released code on CIFAR-LT",
            replace(_EARLY, milestones=(119, 159), factors=(1e-2, 1e-4)),
        ),
        "paco": Preset(
            "PaCo, released code and command on CIFAR-100-LT",
            Recipe(
                400,
                128,
                0.05,
                5e-4,
                "step",
                warmup_epochs=10,
                milestones=(321, 361),
                factors=(0.1, 0.01),
                drop_last=True,
            ),
        ),
        "ib": Preset(
            "IB loss, released code on CIFAR-LT, which cuts the rate where the loss starts",
            replace(_STEPS, milestones=(100, 160, 180), factors=(1e-2, 1e-4, 1e-6)),
        ),
        "digits": Preset(
            "small images, a few hundred samples",
            Recipe(
                150,
                64,
                0.1,
                5e-4,
                "step",
                warmup_epochs=4,
                milestones=(120, 135),
                factors=(0.1, 0.01),
            ),
        ),
        "saddle-imagenet": Preset(
            "Saddle-LongTail, released commands on ImageNet-LT",
            _cosine(90, 256, 0.2, 2e-4),
            "resnet50",
        ),
        "saddle-inat": Preset(
            "Saddle-LongTail, released commands on iNaturalist 2018; weight decay 1e-4 of LDAM; of "
            "CE, SAM's radii are those of --settings schedule=step-inat",
            _cosine(90, 256, 0.1, 2e-4),
            "resnet50",
            "inat",
        ),
        "cc-sam-imagenet": Preset(
            f"CC-SAM on ImageNet-LT: {_KANG}", _cosine(90, 256, 0.1, 5e-4), "resnext50"
        ),
        "cc-sam-inat": Preset(
            f"CC-SAM on iNaturalist 2018: {_KANG}", _cosine(90, 512, 0.2, 1e-4), "resnet50", "inat"
        ),
        "cc-sam-places": Preset(
            f"CC-SAM on Places-LT, from ImageNet weights (--pretrained): {_MISLAS}",
            _cosine(90, 128, 0.05, 5e-4),
            "resnet152",
        ),
        "plot-imagenet": Preset(
            f"PLOT on ImageNet-LT: {_KANG}", _cosine(90, 256, 0.1, 5e-4), "resnext50"
        ),
        "plot-inat": Preset(
            f"PLOT on iNaturalist 2018: {_KANG}", _cosine(90, 256, 0.1, 1e-4), "resnet50", "inat"
        ),
        "plot-places": Preset(
            f"PLOT on Places-LT, from ImageNet weights (--pretrained): {_MISLAS}",
            _cosine(90, 128, 0.05, 5e-4),
            "resnet152",
        ),
        "focal-sam-imagenet": Preset(
            "Focal-SAM, released commands on ImageNet-LT",
            _cosine(200, 256, 0.1, 5e-4),
            "resnet50",
        ),
        "focal-sam-inat": Preset(
            "Focal-SAM, released commands on iNaturalist 2018",
            Recipe(200, 512, 0.2, 2e-4, "cosine"),
            "resnet50",
            "inat",
        ),
        "gkp-gsa-imagenet": Preset(
            "GKP-GSA, its supplement on ImageNet-LT; ResNeXt-50 with --model resnext50",
            _cosine(90, 256, 0.1, 5e-4),
            "resnet50",
        ),
        "gkp-gsa-inat": Preset(
            "GKP-GSA, its supplement on iNaturalist 2018",
            _cosine(100, 256, 0.2, 1e-4),
            "resnet50",
            "inat",
        ),
        "mislas-imagenet": Preset(
            "MiSLAS, released configuration on ImageNet-LT",
            _cosine(180, 256, 0.1, 5e-4),
            "resnet50",
        ),
        "mislas-inat": Preset(
            "MiSLAS, released configuration on iNaturalist 2018",
            _cosine(200, 256, 0.1, 1e-4),
            "resnet50",
            "inat",
        ),
        "mislas-places": Preset(
            "MiSLAS, released configuration on Places-LT, from ImageNet weights (--pretrained)",
            _cosine(90, 256, 0.1, 5e-4),
            "resnet152",
        ),
        "clip": Preset("LIFT's adapters in a CLIP model, as Focal-SAM trains it", _FINE_TUNING),
        "clip-full": Preset(
            "a CLIP model's whole image encoder, as Focal-SAM trains it",
            replace(_FINE_TUNING, lr=1e-3),
        ),
    }
)
# the large sets by their number of classes, and whose recipe holds where a method has none
LARGE_SETS: Mapping[int, tuple[str, str]] = MappingProxyType(
    {1000: ("imagenet", "saddle"), 8142: ("inat", "saddle"), 365: ("places", "mislas")}
)


def learning_rate(recipe: Recipe, epoch: int) -> float:
    """Return the learning rate of an epoch.

    Linear warm-up over ``warmup_epochs``; then ``step`` multiplies by the last factor whose
    milestone is reached, ``cosine`` follows lr (1 + cos(π epoch / epochs)) / 2.

    Args:
        recipe: with the schedule.
        epoch: counted from 0.
    """
    if epoch < recipe.warmup_epochs:
        share = (epoch + 1) / recipe.warmup_epochs
        return recipe.lr * (recipe.warmup_start + (1 - recipe.warmup_start) * share)
    if recipe.schedule == "cosine":
        return recipe.lr * (1 + math.cos(math.pi * epoch / recipe.epochs)) / 2
    factor = 1.0
    for milestone, value in zip(recipe.milestones, recipe.factors, strict=True):
        factor = value if epoch >= milestone else factor
    return recipe.lr * factor
