"""What follows from the inner products of class gradients: cosines, conflicts, norm ratios.

PLOT Def. 2.1 and 2.2: a pair of classes is in conflict when the cosine of their gradients is
negative; the conflict is dominated when the shorter of the two opposes the average over classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """What follows from the inner products of class gradients; K classes."""

    similarity: Array  # (K, K)
    spread: Array  # (K, K) standard deviation over batches, NaN for one
    to_mean: Array  # (K,)
    to_unit_mean: Array  # (K,)
    to_batch: Array  # (K,)
    norm: Array  # (K,)
    ratio: Array  # (K,)

    @staticmethod
    def of(gram: Array, present: NDArray[np.bool_], shares: Array | None = None) -> "Comparison":
        """Compare gradients from their Gram matrix.

        Args:
            gram: (K, K) float64.
            present: (K,) classes that have samples.
            shares: (K,) weights of the classes in the gradient of all samples.
        """
        inner = np.where(present[:, None] & present[None, :], gram, np.nan)
        norm = np.sqrt(np.diag(inner))
        even = present / present.sum()
        to_mean, mean_norm = _to_combination(gram, norm, even)
        with np.errstate(invalid="ignore", divide="ignore"):
            unit = np.where(norm > 0, even / norm, 0.0)
        to_unit_mean, _ = _to_combination(gram, norm, unit)
        weights = present * (even if shares is None else shares)
        to_batch, _ = _to_combination(gram, norm, weights / weights.sum())
        with np.errstate(invalid="ignore", divide="ignore"):
            similarity = inner / np.outer(norm, norm)
            ratio = norm / mean_norm
        np.clip(similarity, -1, 1, out=similarity)
        spread = np.full_like(similarity, np.nan)
        return Comparison(similarity, spread, to_mean, to_unit_mean, to_batch, norm, ratio)

    @staticmethod
    def mean(batches: "Sequence[Comparison]") -> "Comparison":
        """Average over batches, each class over those that hold it."""
        parts = {
            name: nanmean([getattr(b, name) for b in batches])
            for name in ("similarity", "to_mean", "to_unit_mean", "to_batch", "norm", "ratio")
        }
        stacked = np.stack([b.similarity for b in batches])
        counts = np.isfinite(stacked).sum(axis=0)
        squares = np.nansum((stacked - parts["similarity"]) ** 2, axis=0)
        spread = np.where(counts > 1, np.sqrt(squares / np.maximum(counts - 1, 1)), np.nan)
        return Comparison(spread=spread, **parts)

    def conflicts(self) -> tuple[int, int, int, int]:
        """Count pairs in conflict, dominated ones, those by unit gradients, and pairs compared."""
        upper = np.triu_indices(len(self.norm), 1)
        cosines = self.similarity[upper]
        one, other = upper
        shorter = np.where(self.norm[one] < self.norm[other], one, other)
        conflict = cosines < 0
        return (
            int(conflict.sum()),
            int((conflict & (self.to_mean[shorter] < 0)).sum()),
            int((conflict & (self.to_unit_mean[shorter] < 0)).sum()),
            int(np.isfinite(cosines).sum()),
        )


def nanmean(parts: Sequence[Array]) -> Array:
    """Mean over arrays of one shape, each entry over those that hold a number."""
    stacked = np.stack(parts)
    counts = np.isfinite(stacked).sum(axis=0)
    total = np.nansum(stacked, axis=0)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def _to_combination(gram: Array, norm: Array, weights: Array) -> tuple[Array, float]:
    """Cosine of each gradient with Σ w_c g_c (K,), and that combination's norm."""
    inner = gram @ weights
    length = float(np.sqrt(np.maximum(weights @ inner, 0.0)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(inner / (norm * length), -1, 1), length
