r"""Several eigenpairs at the ends of a spectrum, copies of an eigenvalue included.

One Krylov space holds each eigenvalue once, whatever its multiplicity. So a second run starts
beside the vectors found, on (I - VVᵀ) H (I - VVᵀ) + c VVᵀ with c inside the spectrum, where what
rounding leaves of V cannot be taken for an end, and another follows while one finds anything
farther out than the last pair listed; what a run from a random start has not seen is bounded by
:mod:`landscape.curvature.confidence`. A Rayleigh-Ritz step on fresh products HV closes each round.

With R = HV - VΘ of orthonormal columns, as many eigenvalues lie within ‖R‖ of the θ as there are
columns, one for each (Kahan; Parlett 1998, Theorem 11.5.1). This holds for every set of columns,
and sets whose intervals do not meet have eigenvalues of their own: a pair's bound is its residual
where it stands alone, and that of its cluster where intervals meet.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from landscape.curvature.confidence import spectrum_bounds
from landscape.curvature.error_bounds import HIDDEN, ROUNDING
from landscape.curvature.lanczos import Lanczos, Ritz, lanczos
from landscape.curvature.norms import norm
from landscape.curvature.operator import Operator
from landscape.curvature.sampling import sphere_starts

Which = Literal["both", "largest", "smallest"]
Edges = tuple[float | None, float | None]  # the innermost value listed at either end


@dataclass(frozen=True)
class Pairs:
    """Eigenpairs of one matrix, ascending."""

    values: Tensor  # (n,), float64, Rayleigh quotients of fresh products
    residuals: Tensor  # (n,), ‖Hv - θv‖
    bounds: Tensor  # (n,), an eigenvalue of its own lies within it of each value
    vectors: Tensor  # (P, n), orthonormal, operator's dtype
    beyond: tuple[float, float]  # with a probability of 0.99 no eigenvalue not listed is outside


def end_pairs(
    operator: Operator,
    k: int,
    which: Which,
    generator: torch.Generator,
    *,
    steps: int,
    tolerance: float,
    capacity: int,
) -> Pairs:
    """Compute the k lowest or highest eigenpairs, or those of both ends.

    Args:
        operator: symmetric, size P.
        k: pairs of an end; all P where the matrix has no more.
        which: the ends.
        generator: CPU generator of the starts.
        steps: products of a Lanczos run, at most.
        tolerance: of a residual, as a share of the largest absolute value.
        capacity: basis vectors held at once.

    Returns:
        The pairs; an interval open to an end that was not asked for.
    """
    low, high = which != "largest", which != "smallest"
    wanted = min(k * (low + high), operator.size)
    found = torch.zeros((operator.size, 0), dtype=operator.dtype, device=operator.device)
    values, residuals = torch.zeros((2, 0), dtype=torch.float64)
    ends = None
    for _ in range(wanted + 2):  # each but the last lists an eigenvalue more
        left = operator.size - found.shape[1]
        edges = _edges(values, k, low, high)
        beside = _Beside(operator, found, _between(edges, ends))
        run = _run_beside(beside, edges, k, generator, steps, tolerance, capacity)
        ritz = run.ritz()
        ends = ends or (float(ritz.values[0]), float(ritz.values[-1]))
        # what is left of H differs from the matrix beside the pairs by their residual matrix
        beyond, apart = spectrum_bounds([run.quadrature], left), float(norm(residuals))
        room = max(tolerance, float(torch.finfo(operator.dtype).eps)) * _scale(values)
        if len(values) == wanted and _nothing_new(ritz, edges, room):
            break
        places = _end_places(len(ritz.values), k, low, high)
        fresh = run.basis.T @ ritz.vectors[:, places].to(run.basis)
        found, values, residuals = _rayleigh_ritz(operator, torch.cat([found, fresh], dim=1))
        kept = _end_places(len(values), k, low, high)
        found, values, residuals = found[:, kept], values[kept], residuals[kept]
        if len(values) == operator.size:
            beyond, apart = (float(values[0]), float(values[-1])), float(norm(residuals))
            break
    else:  # too few steps to see an end of it
        beyond = -torch.inf, torch.inf
    rounding = ROUNDING * float(torch.finfo(operator.dtype).eps) * _scale(values)
    widened = beyond[0] - apart - rounding, beyond[1] + apart + rounding
    return Pairs(
        values,
        residuals,
        cluster_bounds(values, residuals) + rounding,
        found,
        (widened[0] if low else -torch.inf, widened[1] if high else torch.inf),
    )


def cluster_bounds(values: Tensor, residuals: Tensor) -> Tensor:
    """Widen residuals until intervals that meet share the bound of their cluster.

    Args:
        values: (n,) ascending.
        residuals: (n,) of orthonormal vectors.

    Returns:
        (n,) bounds; √Σr² over a cluster is at least the norm of its residual matrix.

    >>> cluster_bounds(torch.tensor([0.0, 1.0, 1.5]), torch.tensor([0.1, 0.3, 0.4]))
    tensor([0.1000, 0.5000, 0.5000])
    """
    groups = [[i] for i in range(len(values))]
    while True:
        bounds = [float(residuals[group].square().sum().sqrt()) for group in groups]
        merged = [groups[0]] if groups else []
        for one, bound, before in zip(groups[1:], bounds[1:], bounds, strict=False):
            meets = float(values[one[0]]) - bound <= float(values[merged[-1][-1]]) + before
            if meets and bound + before > 0:
                merged[-1] = merged[-1] + one
            else:
                merged.append(one)
        if len(merged) == len(groups):
            sizes = torch.tensor([len(group) for group in groups], dtype=torch.int64)
            return torch.tensor(bounds, dtype=residuals.dtype).repeat_interleave(sizes)
        groups = merged


@dataclass
class _Beside:
    """A matrix on the complement of orthonormal columns."""

    operator: Operator
    columns: Tensor  # (P, n)
    inside: float  # what they are multiplied with

    def __post_init__(self) -> None:
        self.size, self.dtype = self.operator.size, self.operator.dtype
        self.device = self.operator.device

    def matmat(self, vectors: Tensor) -> Tensor:
        if not self.columns.shape[1]:
            return self.operator.matmat(vectors)
        along = self.columns @ (self.columns.T @ vectors)
        return self.off(self.operator.matmat(self.off(vectors))) + self.inside * along

    fresh_matmat = matmat

    def off(self, vectors: Tensor) -> Tensor:
        for _ in range(2 if self.columns.shape[1] else 0):
            vectors = vectors - self.columns @ (self.columns.T @ vectors)
        return vectors


def _run_beside(
    beside: _Beside,
    edges: Edges | None,
    k: int,
    generator: torch.Generator,
    steps: int,
    tolerance: float,
    capacity: int,
) -> Lanczos:
    """Run Lanczos off the columns found, for k pairs an end at first, then for what they hide."""
    start = beside.off(sphere_starts(beside, 1, generator))
    left = beside.size - beside.columns.shape[1]
    stop = partial(_enough, edges=edges, k=k, size=left, tolerance=tolerance)
    (run,) = lanczos(beside, start, min(steps, left), stop=stop, capacity=capacity)
    return run


def _enough(
    runs: list[Ritz],
    restarted: bool,
    *,
    edges: Edges | None,
    k: int,
    size: int,
    tolerance: float,
) -> bool:
    (ritz,) = runs
    values, allowed = ritz.values, 0.5 * tolerance * _scale(ritz.values)
    if edges is None:
        ends = _end_places(len(values), k, low=True, high=True)
        return len(values) > 2 * k and bool((ritz.residuals[ends] <= allowed).all())
    room = HIDDEN * _scale(torch.tensor([e for e in edges if e is not None]))
    sure = (-torch.inf, torch.inf) if restarted else spectrum_bounds(runs, size)
    for edge, end, limit, sign in zip(edges, (0, -1), sure, (-1, 1), strict=True):
        if edge is None:
            continue
        beyond = sign * (float(values[end]) - edge) > allowed
        if float(ritz.residuals[end]) > allowed and (beyond or sign * (limit - edge) > room):
            return False
    return True


def _nothing_new(ritz: Ritz, edges: Edges | None, room: float) -> bool:
    """Whether a run beside the pairs found nothing farther out than the last of an end."""
    if edges is None:
        return False
    low, high = edges
    below = low is not None and float(ritz.values[0]) < low - room
    above = high is not None and float(ritz.values[-1]) > high + room
    return not (below or above)


def _edges(values: Tensor, k: int, low: bool, high: bool) -> Edges | None:
    """The innermost value listed at each end; ``None`` before anything is."""
    if len(values) == 0:
        return None
    most = min(k, len(values))
    return (
        float(values[most - 1]) if low else None,
        float(values[-most]) if high else None,
    )


def _between(edges: Edges | None, ends: tuple[float, float] | None) -> float:
    """A number between the values listed, or between those and the other end."""
    if edges is None or ends is None:
        return 0.0
    low, high = (end if edge is None else edge for edge, end in zip(edges, ends, strict=True))
    return (low + high) / 2


def _end_places(count: int, k: int, low: bool, high: bool) -> list[int]:
    """Places of the k first and the k last of so many, each once."""
    first = range(min(k, count)) if low else range(0)
    last = range(max(count - k, 0), count) if high else range(0)
    return sorted({*first, *last})


def _rayleigh_ritz(operator: Operator, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotate columns into Ritz vectors of fresh products; values ascending, and residuals."""
    basis, _ = torch.linalg.qr(columns.double())
    products = operator.fresh_matmat(basis.to(operator.dtype)).double()
    projected = basis.T @ products
    values, rotation = torch.linalg.eigh((projected + projected.T).cpu() / 2)
    rotation = rotation.to(basis)
    vectors, images = basis @ rotation, products @ rotation
    residuals = norm(images - vectors * values.to(vectors), dim=0).cpu()
    return vectors.to(operator.dtype), values, residuals


def _scale(values: Tensor) -> float:
    return float(values.abs().max()) if len(values) else 0.0
