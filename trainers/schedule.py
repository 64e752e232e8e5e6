"""Learning rate of each epoch."""

import math

from trainers.recipes import Recipe


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
