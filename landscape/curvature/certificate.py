r"""Both ends of a spectrum with bounds that hold, from Krylov runs and one fresh product.

The extreme Ritz vectors y are multiplied once more with a fresh product: θ = yᵀHy/yᵀy then proves
λmin ≤ θ (and λmax ≥ θ) by the variational principle, and r = ‖Hy - θy‖ is a residual of the vector
itself and not of the recurrence. What rounding and chance do to such a quotient is measured as the
asymmetry |uᵀHv - vᵀHu| of the same products and as the change of θ from the run's products to the
fresh one; no bound is stated below either.

The residual is a proof: an eigenvalue lies within r of θ. That it lies within r²/gap of θ, and that
none lies beyond, holds if no eigenvalue hides from the Krylov space; a random start makes that sure
in practice and not by proof.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from landscape.curvature.lanczos import Lanczos, Ritz
from landscape.norms import norm


@dataclass(frozen=True)
class Extreme:
    """One end of a spectrum."""

    value: float  # Rayleigh quotient θ
    residual: float  # ‖Hy - θy‖: an eigenvalue lies within it of θ
    bound: float  # the smaller of the residual and r²/gap, plus the noise


@dataclass(frozen=True)
class Noise:
    """What rounding and chance do to a product."""

    asymmetry: float  # |uᵀHv - vᵀHu| of unit vectors, at least eps times max |θ|
    repeatability: float  # ‖Hv - Hv'‖ of a unit vector, one product kept and one made anew


def ends_found(runs: list[Ritz], tolerance: float) -> bool:
    """Whether the recurrence's own bounds are within the tolerance at both ends.

    A tenth of it is left for the rounding that the certificate's fresh product adds.
    """
    low = min(runs, key=lambda ritz: float(ritz.values[0]))
    high = max(runs, key=lambda ritz: float(ritz.values[-1]))
    scale = max(abs(float(low.values[0])), abs(float(high.values[-1])))
    bounds = (
        _bound(float(low.residuals[0]), _gap(low, 0)),
        _bound(float(high.residuals[-1]), _gap(high, -1)),
    )
    return max(bounds) <= 0.9 * tolerance * scale


@dataclass(frozen=True)
class ExtremePairs:
    """The lowest and the highest Ritz pair of all runs, not yet certified."""

    vectors: Tensor  # (P, 2), unit norm, operator's dtype
    former: Tensor  # (P, 2), float64, their products by the runs' recurrence
    gaps: tuple[float, float]  # to the rest of the spectrum; 0 where it is not known


def extreme_pairs(runs: list[Lanczos]) -> ExtremePairs:
    """Pick the lowest and the highest Ritz pair of Lanczos decompositions of one matrix."""
    ritz = [run.ritz() for run in runs]
    lowest = min(range(len(runs)), key=lambda k: float(ritz[k].values[0]))
    highest = max(range(len(runs)), key=lambda k: float(ritz[k].values[-1]))
    places = ((lowest, 0), (highest, -1))
    chosen = [(runs[k], ritz[k].vectors[:, end]) for k, end in places]
    vectors = torch.stack([_ritz_vector(run, c) for run, c in chosen], dim=1)
    former = torch.stack([run.product_of(c) for run, c in chosen], dim=1).double()
    low, high = (_gap(ritz[k], end) for k, end in places)
    return ExtremePairs(vectors, former, (low, high))


def certify(pairs: ExtremePairs, products: Tensor) -> tuple[Extreme, Extreme, Noise]:
    """Judge extreme Ritz vectors by their fresh products (P, 2): low end, high end and noise."""
    vectors, former = pairs.vectors.double(), pairs.former
    products, rounding = products.double(), torch.finfo(products.dtype).eps
    squares = (vectors * vectors).sum(dim=0)
    theta = (vectors * products).sum(dim=0) / squares
    residual = norm(products - theta * vectors, dim=0) / norm(vectors, dim=0)
    change = ((vectors * (products - former)).sum(dim=0) / squares).abs()
    cross = vectors.T @ products
    noise = Noise(
        max(float((cross[0, 1] - cross[1, 0]).abs()), rounding * float(theta.abs().max())),
        float(norm(products - former, dim=0).max()),
    )
    low, high = (
        Extreme(
            float(theta[i]),
            float(residual[i]),
            _bound(float(residual[i]), pairs.gaps[i]) + max(noise.asymmetry, float(change[i])),
        )
        for i in range(2)
    )
    return low, high, noise


def _ritz_vector(run: Lanczos, coefficients: Tensor) -> Tensor:
    vector = run.basis.T @ coefficients.to(run.basis.device, run.basis.dtype)
    return (vector.double() / norm(vector)).to(vector.dtype)


def _gap(ritz: Ritz, end: int) -> float:
    """Distance from an extreme eigenvalue to the rest of the spectrum; 0 when it is not known.

    The rest is known only as far as the neighbouring Ritz value is resolved: an eigenvalue not yet
    seen could stand between the two. So the neighbour's residual must be at most a fiftieth of the
    distance, and half the distance is used; on 60 prescribed spectra at every number of steps this
    never gave an interval without an eigenvalue, while the plain distance did in 1 % of cases.
    """
    if len(ritz.values) == 1:
        return 0.0
    neighbour = 1 if end == 0 else -2
    residual = float(ritz.residuals[neighbour])
    distance = abs(float(ritz.values[end] - ritz.values[neighbour])) - residual
    return distance / 2 if residual <= distance / 50 else 0.0


def _bound(residual: float, gap: float) -> float:
    return min(residual, residual**2 / gap) if gap > 0 else residual
