"""Eigenvectors at the upper end of a spectrum, from the Krylov run that found its ends.

The k uppermost Ritz vectors cost no product. By the theorem of Davis and Kahan (1970) the angle
between such a vector and the eigenvector has a sine of at most r / gap, where r is its residual and
gap the distance to the other eigenvalues. It is known as far as the neighbours are resolved: where
they are not, or are closer than the residual, the sine is bounded by 1. An eigenvalue that occurs
twice is found once, as in every Krylov run from one start.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape.curvature.lanczos import Lanczos
from landscape.curvature.norms import norm

_RESOLVED = 50  # distances to a neighbour, in residuals, from which on none lies between


@dataclass(frozen=True)
class Leading:
    """The uppermost Ritz pairs of a matrix, from the highest value down."""

    values: Tensor  # (k,)
    residuals: Tensor  # (k,), an eigenvalue lies within one of each value
    angles: Tensor  # (k,), bound of the sine to the eigenvector; 1 where it is not told apart
    subspace_angle: float  # bound of the sine between the spans
    vectors: Tensor  # (P, k), unit norm, operator's dtype, on the CPU


def leading_pairs(run: Lanczos, count: int) -> Leading:
    """Pick the uppermost Ritz pairs of a decomposition.

    Args:
        run: from a random start.
        count: how many; fewer where the run is shorter.
    """
    ritz = run.ritz()
    coefficients = ritz.vectors[:, -count:].flip(1)
    vectors = run.basis.T @ coefficients.to(run.basis.device, run.basis.dtype)
    vectors = (vectors.double() / norm(vectors, dim=0)).to(vectors.dtype).cpu()
    values, residuals = ritz.values.flip(0), ritz.residuals.flip(0)
    kept = vectors.shape[1]
    return Leading(
        values[:kept],
        residuals[:kept],
        _angles(values, residuals)[:kept],
        _subspace_angle(values, residuals, kept),
        of_numbers(vectors, values[:kept].tolist()),
    )


def of_numbers(vectors: Tensor, values: Sequence[float]) -> Tensor:
    """Put NaN for the vectors (P, k) of values that are no numbers: those are start vectors."""
    known = torch.tensor(values, device=vectors.device).isfinite()
    return vectors.where(known, torch.nan)


def overlap(one: Tensor, other: Tensor) -> float:
    """Return ‖Uᵀ V‖²_F / k of two bases (P, k) with k orthonormal columns each (Gur-Ari 2018).

    It is 1 for the same subspace, 0 for orthogonal ones, and k/P for random ones on average.
    """
    inner = sum(
        (
            a.double().T @ b.double()
            for a, b in zip(one.split(2**17), other.split(2**17), strict=True)
        ),
        torch.zeros(one.shape[1], other.shape[1], dtype=torch.float64),
    )
    return float(inner.square().sum() / min(one.shape[1], other.shape[1]))


def _angles(values: Tensor, residuals: Tensor) -> Tensor:
    """Bound the sines of all vectors by their gaps to both neighbours."""
    gaps = _gaps(values, residuals)
    nearest = torch.minimum(
        torch.cat([gaps.new_full((1,), torch.inf), gaps]),
        torch.cat([gaps, gaps.new_full((1,), torch.inf)]),
    )
    return torch.where(nearest > residuals, residuals / nearest, 1.0).clamp(max=1.0)


def _subspace_angle(values: Tensor, residuals: Tensor, count: int) -> float:
    """Bound the sine between the span of the uppermost vectors and that of the eigenvectors."""
    if count == len(values):
        return 0.0 if not residuals.any() else 1.0
    gap, rest = float(_gaps(values, residuals)[count - 1]), float(norm(residuals[:count]))
    return min(rest / gap, 1.0) if gap > rest else 1.0


def _gaps(values: Tensor, residuals: Tensor) -> Tensor:
    """Half the distances between neighbours (m - 1,); 0 where an eigenvalue may lie between.

    As for the ends of a spectrum, both have to be resolved to a fiftieth of their distance.
    """
    distances = values[:-1] - values[1:]
    unseen = torch.maximum(residuals[:-1], residuals[1:]) > distances / _RESOLVED
    return torch.where(unseen, 0.0, distances / 2)
