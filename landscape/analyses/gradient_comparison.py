"""Compare class gradients by their inner products, and average over mini-batches."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Quantities derived from the inner products of class gradients; K classes."""

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
        with np.errstate(invalid="ignore", divide="ignore"):
            to_batch, _ = _to_combination(gram, norm, weights / weights.sum())
            similarity = inner / np.outer(norm, norm)
            ratio = norm / mean_norm
        np.clip(similarity, -1, 1, out=similarity)
        spread = np.broadcast_to(np.nan, similarity.shape)  # which takes no memory
        return Comparison(similarity, spread, to_mean, to_unit_mean, to_batch, norm, ratio)

    def conflicts(self) -> tuple[int, int, int, int]:
        """Count pairs: in conflict, dominated, dominated by unit gradients, compared."""
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


class Averages:
    """Averages of comparisons of some of K classes, each entry over those in which it is finite.

    Args:
        classes: K.
        spread: whether to tell that of the similarity, too.
    """

    def __init__(self, classes: int, *, spread: bool = False) -> None:
        self._classes, self._spread = classes, spread
        self._found: dict[str, tuple[Array, Array]] = {}  # counts and means
        self._squares = np.zeros((classes, classes) if spread else (0, 0))

    def add(self, present: NDArray[np.int64], one: Comparison, **more: Array) -> None:
        """Add a comparison, and further arrays, of the classes present (C,)."""
        for name, values in (vars(one) | more).items():
            if name == "spread":
                continue
            shape = (self._classes,) * values.ndim
            count, mean = self._found.setdefault(name, (np.zeros(shape), np.zeros(shape)))
            at, finite = np.ix_(*[present] * values.ndim), np.isfinite(values)
            count[at] += finite
            change = np.where(finite, values - mean[at], 0.0)
            mean[at] += change / np.maximum(count[at], 1)
            if self._spread and name == "similarity":
                self._squares[at] += change * np.where(finite, values - mean[at], 0.0)

    def mean(self, name: str) -> Array:
        """Return the mean of an array, NaN where none was finite."""
        count, mean = self._found[name]
        return np.where(count > 0, mean, np.nan)

    def comparison(self) -> Comparison:
        """Return the mean comparison."""
        names = set(Comparison.__dataclass_fields__) - {"spread"}
        means = {name: self.mean(name) for name in names}
        spread = np.broadcast_to(np.nan, means["similarity"].shape)
        if self._spread:
            count, _ = self._found["similarity"]
            deviation = np.sqrt(self._squares / np.maximum(count - 1, 1))
            spread = np.where(count > 1, deviation, np.nan)
        return Comparison(spread=spread, **means)


def _to_combination(gram: Array, norm: Array, weights: Array) -> tuple[Array, float]:
    """Compute the cosine of each gradient with Σ w_c g_c (K,), and the norm of this sum."""
    inner = gram @ weights
    length = float(np.sqrt(np.maximum(weights @ inner, 0.0)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(inner / (norm * length), -1, 1), length
