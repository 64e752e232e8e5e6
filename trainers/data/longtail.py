"""Long-tailed subsets by the LDAM formula (Cao et al. 2019), and how many samples each class keeps.

Exponential: n_i = int(n_max μ^(i/(C-1))) with μ = 1/imbalance and n_max the mean class size of the
pool; step: the first half of the classes keep n_max, the others int(n_max μ). Classes are taken in
label order; within each, ``numpy.random.RandomState(0)`` shuffles and the first n_i are kept, one
generator running through all classes, so that CIFAR subsets are those of the published code.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landscape.errors import InputError

ImbalanceType = Literal["exp", "step"]


def longtail_counts(
    pool: Sequence[int], imbalance: float, kind: ImbalanceType = "exp"
) -> tuple[int, ...]:
    """Count the samples each class keeps.

    Args:
        pool: samples available of each class (C,), in label order.
        imbalance: largest class over smallest, at least 1; 1 keeps the whole pool.
        kind: exponential or step decay.

    Raises:
        InputError: imbalance below 1, a class that would be empty, or one with too few samples.
    """
    if not imbalance >= 1:
        raise InputError(f"--imbalance {imbalance:g}: largest over smallest class is at least 1")
    if imbalance == 1:
        _refuse_empty(pool, "has no samples in split 'train'; remove it from the data")
        return tuple(pool)
    classes, largest, ratio = len(pool), sum(pool) / len(pool), 1 / imbalance
    if kind == "exp":
        counts = [int(largest * ratio ** (i / max(classes - 1, 1))) for i in range(classes)]
    else:
        half = classes // 2
        counts = [int(largest)] * half + [int(largest * ratio)] * (classes - half)
    _refuse_empty(counts, f"would have no samples at --imbalance {imbalance:g}; lower it")
    for c, (wanted, there) in enumerate(zip(counts, pool, strict=True)):
        if wanted > there:
            raise InputError(
                f"class {c} has {there} samples and --imbalance {imbalance:g} asks for {wanted}; "
                "these data are not balanced: use --imbalance 1 to take them as they are"
            )
    return tuple(counts)


def longtail_indices(
    labels: NDArray[np.int64], counts: Sequence[int], seed: int = 0
) -> NDArray[np.int64]:
    """Choose the samples kept, class by class.

    Args:
        labels: (N,) of the pool.
        counts: how many of each class, as from :func:`longtail_counts`.
        seed: of the shuffles; 0 in the published code.

    Returns:
        Indices into the pool; all of them, in order, when nothing is left out.
    """
    if sum(counts) == len(labels):
        return np.arange(len(labels))
    random = np.random.RandomState(seed)
    kept = []
    for c, count in enumerate(counts):
        members = np.flatnonzero(labels == c)
        random.shuffle(members)
        kept.append(members[:count])
    return np.concatenate(kept)


def _refuse_empty(counts: Sequence[int], what: str) -> None:
    for c, count in enumerate(counts):
        if count == 0:
            raise InputError(f"class {c} {what}")
