r"""Trace with a standard error.

A Lanczos basis Q holds the matrix's large eigenvalues, so tr(H) = tr(QᵀHQ) + tr(PHP) with
P = I - QQᵀ: the first part is the sum of T's diagonal, exact and already paid for, and the second,
small one is estimated by Hutchinson's zᵀPHPz with fresh Rademacher z. This is Hutch++ (Meyer et al.
2021) with the Krylov basis as its sketch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape.curvature.lanczos import Lanczos, Ritz, random_probes
from landscape.curvature.operator import Operator


@dataclass(frozen=True)
class Trace:
    """An estimate of tr(H)."""

    value: float
    sem: float  # standard error of the mean; 0 when the basis spans the whole space
    samples: Tensor  # (n,), float64; each is unbiased


def weighted_sum(traces: Sequence[Trace], shares: Sequence[float]) -> Trace:
    """Add the traces of Hessians of which H is the weighted sum, tr(H) = Σ_c p_c tr(H_c).

    The estimates have to come from the same random vectors in the same order: their sums over the
    classes are then samples of the whole, and the standard error is from the spread of those.

    Args:
        traces: of the parts.
        shares: p_c of each.
    """
    if any(len(trace.samples) == 0 for trace in traces):
        return Trace(math.nan, math.nan, torch.zeros(0, dtype=torch.float64))
    most = max(len(trace.samples) for trace in traces)
    samples = torch.zeros(most, dtype=torch.float64)
    for trace, share in zip(traces, shares, strict=True):
        assert len(trace.samples) in (1, most)  # one sample: it is exact
        samples += share * trace.samples
    sem = float(samples.std() / most**0.5) if most > 1 else 0.0
    return Trace(float(samples.mean()), sem, samples)


def frobenius_norm(quadrature: list[Ritz], size: int) -> tuple[float, float]:
    """Estimate ‖H‖_F from the second moments that the first Lanczos step of every probe gives.

    For a Rademacher z, E‖Hz‖² = ‖H‖_F², and ‖Hq₁‖² = α₁² + β₁² = Σ τ θ² is free.

    Args:
        quadrature: nodes and weights of each probe.
        size: P.

    Returns:
        The norm and its standard error, NaN for one probe.
    """
    squares = torch.stack([size * (q.weights * q.values**2).sum() for q in quadrature])
    norm = float(squares.mean()) ** 0.5
    if len(squares) < 2 or norm == 0:
        return norm, float("nan")
    return norm, float(squares.std() / len(squares) ** 0.5) / (2 * norm)


def deflated_trace(
    operator: Operator, krylov: Lanczos, probes: int, generator: torch.Generator
) -> Trace:
    """Estimate the trace from a Lanczos basis and ``probes`` further products.

    Args:
        operator: symmetric, size P.
        krylov: a decomposition of the same operator, from a start independent of ``generator``.
        probes: random vectors for the complement, at least 2; with none the trace is NaN, unless
            the basis spans the whole space.
        generator: source of the random vectors.

    Raises:
        ValueError: one probe, from which no standard error follows.
    """
    if probes == 1:
        raise ValueError("a standard error needs at least 2 trace probes, not 1")
    inside = float(krylov.projected.trace())
    if krylov.steps == operator.size:
        return Trace(inside, 0.0, torch.full((1,), inside, dtype=torch.float64))
    if probes == 0:
        return Trace(math.nan, math.nan, torch.zeros(0, dtype=torch.float64))
    vectors = random_probes(operator, probes, generator) * operator.size**0.5
    vectors = vectors - krylov.basis.T @ (krylov.basis @ vectors)
    outside = (vectors.double() * operator.matmat(vectors).double()).sum(dim=0).cpu()
    samples = inside + outside
    sem = float(samples.std() / len(samples) ** 0.5)
    return Trace(float(samples.mean()), sem, samples)
