"""The named recipes: optimiser and schedule of the papers' CIFAR runs.

No tensor library is imported here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal


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

    def scaled(self, epochs: int) -> "Recipe":
        """Stretch warm-up and milestones to another number of epochs."""
        share = epochs / self.epochs
        return replace(
            self,
            epochs=epochs,
            warmup_epochs=round(self.warmup_epochs * share),
            milestones=tuple(round(m * share) for m in self.milestones),
        )


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        # A: LDAM and Saddle-LongTail released code, ×0.01 at 160 and ×0.0001 at 180 of 200
        "a": Recipe(
            200,
            128,
            0.1,
            2e-4,
            "step",
            warmup_epochs=5,
            milestones=(160, 180),
            factors=(1e-2, 1e-4),
        ),
        # B: Focal-SAM released code; weight decay 1e-3 on 100 classes
        "b": Recipe(200, 64, 0.1, 2e-4, "cosine"),
        # C: BCL recipe of GKP-GSA released code
        "c": Recipe(
            200,
            256,
            0.15,
            5e-4,
            "step",
            warmup_epochs=5,
            milestones=(160, 180),
            factors=(0.1, 0.01),
            drop_last=True,
        ),
        # D: CC-SAM released code, which decays an epoch early; PLOT's batch is 128
        "d": Recipe(
            200,
            64,
            0.1,
            2e-4,
            "step",
            warmup_epochs=5,
            warmup_start=1 / 3,
            milestones=(159, 179),
            factors=(0.1, 0.01),
            drop_last=True,
        ),
        # released MiSLAS code
        "mislas": Recipe(
            200,
            128,
            0.1,
            2e-4,
            "step",
            warmup_epochs=5,
            milestones=(160, 180),
            factors=(0.1, 0.01),
        ),
        # released GCL code
        "gcl": Recipe(
            200, 64, 0.1, 2e-4, "step", warmup_epochs=5, milestones=(160, 180), factors=(0.1, 0.01)
        ),
        # released BBN code, which decays an epoch early
        "bbn": Recipe(
            200,
            128,
            0.1,
            2e-4,
            "step",
            warmup_epochs=5,
            warmup_start=1 / 3,
            milestones=(119, 159),
            factors=(1e-2, 1e-4),
            drop_last=True,
        ),
        # released PaCo code and command, CIFAR-100-LT
        "paco": Recipe(
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
        # released IB-Loss code, which cuts the rate where the loss starts
        "ib": Recipe(
            200,
            128,
            0.1,
            2e-4,
            "step",
            warmup_epochs=5,
            milestones=(100, 160, 180),
            factors=(1e-2, 1e-4, 1e-6),
        ),
        # digits: small images, a few hundred samples
        "digits": Recipe(
            150, 64, 0.1, 5e-4, "step", warmup_epochs=4, milestones=(120, 135), factors=(0.1, 0.01)
        ),
    }
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
