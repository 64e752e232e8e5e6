r"""Trace with a standard error.

A Lanczos basis Q holds the matrix's large eigenvalues, so tr(H) = tr(QᵀHQ) + tr(PHP) with
P = I - QQᵀ: the first part is the sum of T's diagonal, exact and already paid for, and the second,
small one is estimated by Hutchinson's zᵀPHPz with fresh Rademacher z. This is Hutch++ (Meyer et al.
2021) with the Krylov basis as its sketch. Where the complement has no more dimensions than there
would be random vectors, an orthonormal basis of it takes their place and the trace is exact.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape.curvature.lanczos import Lanczos, Ritz
from landscape.curvature.operator import Operator
from landscape.curvature.sampling import random_probes

LEAST_PROBES = 5  # of a standard error of ‖H‖_F
_SLICE = 2**20  # rows
TOGETHER = 4  # probes that share a pass over the data; more of them would only take memory


@dataclass(frozen=True)
class Trace:
    """An estimate of tr(H)."""

    value: float
    sem: float  # standard error of the mean; 0 when the basis spans the whole space
    samples: Tensor  # (n,), float64; each is unbiased; one where it is exact


def weighted_sum(traces: Sequence[Trace], shares: Sequence[float]) -> Trace:
    """Add the traces of Hessians of which H is the weighted sum, tr(H) = Σ_c p_c tr(H_c).

    The estimates have to come from the same random vectors in the same order: their sums over the
    classes are then samples of the whole, and the standard error is from the spread of those.

    Args:
        traces: of the parts.
        shares: p_c of each.
    """
    most = max(len(trace.samples) for trace in traces)
    samples = torch.zeros(most, dtype=torch.float64)
    for trace, share in zip(traces, shares, strict=True):
        assert len(trace.samples) in (1, most)
        samples += share * trace.samples
    exact = all(trace.sem == 0 for trace in traces)
    sem = float(samples.std() / most**0.5) if most > 1 else 0.0 if exact else math.nan
    return Trace(float(samples.mean()), sem, samples)


def frobenius_norm(quadrature: list[Ritz], size: int) -> tuple[float, float]:
    """Estimate ‖H‖_F from the second moments that the first Lanczos step of every probe gives.

    For random signs z, or q₁ uniform on the sphere, E‖Hz‖² = P E‖Hq₁‖² = ‖H‖_F², and
    ‖Hq₁‖² = α₁² + β₁² = Σ τ θ² is free.

    Args:
        quadrature: nodes and weights of each probe.
        size: P.

    Returns:
        The norm and its standard error; NaN for fewer than five probes, whose spread says nothing.
    """
    squares = torch.stack([size * _second_moment(q) for q in quadrature])
    norm = float(squares.mean()) ** 0.5
    if len(squares) < LEAST_PROBES or norm == 0:
        return norm, float("nan")
    return norm, float(squares.std() / len(squares) ** 0.5) / (2 * norm)


def exact_frobenius(krylov: Lanczos) -> tuple[float, float] | None:
    """Compute ‖H‖_F, without an error, if the basis spans the whole space."""
    whole = krylov.steps == krylov.basis.shape[1]
    return (float(krylov.projected.norm()), 0.0) if whole else None


def _second_moment(ritz: Ritz) -> Tensor:
    """‖Hq₁‖² = α₁² + β₁²; β₁ is in the projected matrix unless it is of one step."""
    beyond = ritz.residuals[0] ** 2 if len(ritz.values) == 1 else 0.0
    return (ritz.weights * ritz.values**2).sum() + beyond


def first_step_trace(runs: Sequence[Lanczos], size: int) -> Trace:
    """Read tr(H) = E P q₁ᵀHq₁ off the first step of runs from random starts, without a product.

    Args:
        runs: decompositions from independent starts.
        size: P.

    Returns:
        One sample a run; the standard error is NaN for one.
    """
    samples = torch.stack([size * (r.quadrature.weights * r.quadrature.values).sum() for r in runs])
    sem = float(samples.std() / len(samples) ** 0.5) if len(samples) > 1 else math.nan
    return Trace(float(samples.mean()), sem, samples)


def exact_trace(krylov: Lanczos) -> Trace | None:
    """The sum of all eigenvalues, if the basis spans the whole space."""
    whole = krylov.steps == krylov.basis.shape[1]
    return _exact(float(krylov.projected.trace())) if whole else None


def deflated_trace(
    operator: Operator, krylov: Lanczos, probes: int, generator: torch.Generator
) -> Trace:
    """Estimate the trace from a Lanczos basis and ``probes`` further products.

    Args:
        operator: symmetric, size P.
        krylov: a decomposition of the same operator, from a start independent of ``generator``.
        probes: random vectors for the complement, at least 2.
        generator: source of the random vectors.

    Raises:
        ValueError: fewer than two probes, from which no standard error follows.
    """
    return deflated_traces(operator, [krylov], probes, generator)[0]


def deflated_traces(
    operator: Operator, kryl: Sequence[Lanczos], probes: int, generator: torch.Generator
) -> list[Trace]:
    """Estimate the trace of each diagonal block of a block-diagonal matrix, as one block's.

    Args:
        operator: symmetric, zero outside its diagonal blocks.
        kryl: a decomposition of each block.
        probes: as for :func:`deflated_trace`.
        generator: likewise.

    Raises:
        ValueError: fewer than two probes.
    """
    if probes < 2:
        raise ValueError(f"a standard error needs at least 2 trace probes, not {probes}")
    known = [exact_trace(one) for one in kryl]
    if all(known):
        return [trace for trace in known if trace is not None]
    rests = [_complement(one, probes) for one in kryl]
    outside = torch.cat(
        [
            _outside(operator, kryl, rests, range(done, min(done + TOGETHER, probes)), generator)
            for done in range(0, probes, TOGETHER)
        ],
        dim=1,
    )
    found = []
    for trace, one, rest, samples in zip(known, kryl, rests, outside, strict=True):
        inside = float(one.projected.trace())
        whole = _exact(inside + float(samples.sum())) if rest is not None else None
        found.append(trace or whole or _mean(inside + samples))
    return found


def _complement(krylov: Lanczos, most: int) -> Tensor | None:
    """An orthonormal basis (P, most) of what a Krylov basis leaves, zero-padded; None if larger."""
    steps, size = krylov.basis.shape
    if size - steps > most:
        return None
    whole, _ = torch.linalg.qr(krylov.basis.T.double(), mode="complete")
    rest = whole[:, steps:]
    return torch.nn.functional.pad(rest, (0, most - rest.shape[1])).to(krylov.basis.dtype)


def _outside(
    operator: Operator,
    kryl: Sequence[Lanczos],
    rests: Sequence[Tensor | None],
    numbers: range,
    generator: torch.Generator,
) -> Tensor:
    """Samples of tr(PHP) of each block, or its addends, (blocks, numbers), float64."""
    sizes = [one.basis.shape[1] for one in kryl]
    vectors = random_probes(operator, len(numbers), generator) * operator.size**0.5
    outside = torch.cat(
        [
            _off(one.basis, part) if rest is None else rest[:, list(numbers)]
            for part, one, rest in zip(vectors.split(sizes), kryl, rests, strict=True)
        ]
    )
    del vectors  # as large as any other of these
    products = operator.matmat(outside.to(operator.device)).to(outside.device)
    pairs = zip(outside.split(sizes), products.split(sizes), strict=True)
    return torch.stack([_inner(a, b) for a, b in pairs]).cpu()


def _inner(one: Tensor, other: Tensor) -> Tensor:
    """Inner products of columns (k,) in float64, of which a slice is held at a time."""
    total = one.new_zeros(one.shape[1], dtype=torch.float64)
    for a, b in zip(one.split(_SLICE), other.split(_SLICE), strict=True):
        total += (a.double() * b.double()).sum(dim=0)
    return total


def _off(basis: Tensor, vectors: Tensor) -> Tensor:
    """Project vectors (P, k) off an orthonormal basis (m, P), where that lies."""
    vectors = vectors.to(basis.device)
    return vectors - basis.T @ (basis @ vectors)


def _exact(value: float) -> Trace:
    return Trace(value, 0.0, torch.full((1,), value, dtype=torch.float64))


def _mean(samples: Tensor) -> Trace:
    return Trace(float(samples.mean()), float(samples.std() / len(samples) ** 0.5), samples)
