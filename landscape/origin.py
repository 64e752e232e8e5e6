"""What result files say of a checkpoint that no training of ours made."""

from collections.abc import Sequence
from typing import Any


def outside_plan(method: str, data: str, class_counts: Sequence[int]) -> dict[str, Any]:
    """Stand in for a training's configuration, so that figures and tables can name the subject.

    Args:
        method: how figures name the checkpoint's model.
        data: how they name its data.
        class_counts: training samples of each class (K,).

    Returns:
        The entries of a stored plan that are known; seed, recipe and settings are not.
    """
    present = [count for count in class_counts if count > 0]
    return {
        "method": method,
        "data": data,
        "imbalance": max(present) / min(present),
        "model": method,
        "recipe": {},
        "settings": {},
        "seed": None,
        "reweighting_epoch": None,
    }
