"""Mix the classes of a scope: their losses and accuracies by shares that the file holds.

A scope's loss is the mean over its samples: class weights of the loss, samples whose target is
ignored, and data in which classes are otherwise as frequent than in training, each change a class's
share in it. Files of older versions do not hold the shares; training samples weigh classes there.
No tensor library is imported here.
"""

from collections.abc import Sequence

import numpy as np

from landscape.results.fields import Array


def unknown_shares(classes: int) -> dict[str, Array]:
    """Fill the shares that a file of an older version does not hold."""
    return {name: np.full(classes, np.nan) for name in ("share", "frequency")}


def shares_within(members: Sequence[int], shares: Array, counts: Array) -> Array:
    """Weigh the classes of a scope (C,), sum 1; NaN where none of several has a weight.

    Args:
        members: the classes that have samples.
        shares: of all classes (K,); NaN where they are not known.
        counts: training samples of all classes (K,), which weigh them then.
    """
    own = list(members)
    if len(own) == 1:  # a class that weighs nothing in the whole has a mean of its own
        return np.ones(1)
    weights = counts[own] if np.isnan(shares).any() else shares[own]
    with np.errstate(invalid="ignore"):
        found: Array = weights / weights.sum()
    return found


def said_of_shares(shares: Array) -> str:
    """Say in a table's note what weighs the classes where their shares are not known."""
    older = "several classes are weighed by training samples, in a file of an older version"
    return f"; {older}" if np.isnan(shares).any() else ""
