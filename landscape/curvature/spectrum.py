r"""Class-wise Hessian spectra: both ends with error bounds, trace, density, verdict.

One Krylov run a probe gives everything. Every scope's trace is estimated with the same random
vectors; since the Hessian is linear in the samples, the trace of a set of classes is the weighted
sum of theirs, and costs nothing where those are computed anyway.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscape.config import SpectrumConfig
from landscape.curvature.certificate import Extreme, Noise, certified_ends, ends_found
from landscape.curvature.lanczos import Ritz, lanczos, random_probes
from landscape.curvature.operator import GIB, CurvatureOperator, Operator
from landscape.curvature.trace import Trace, deflated_trace, frobenius_norm, weighted_sum
from landscape.errors import InputError
from landscape.judging import BatchNormMode
from landscape.norms import norm
from landscape.results import Spectrum
from landscape.subject import Scope, Selection, Subject
from landscape.verdict import gradient_is_small, verdict


@dataclass(frozen=True)
class OperatorSpectrum:
    """Spectrum of one operator."""

    low: Extreme
    high: Extreme
    trace: Trace
    frobenius: tuple[float, float]  # ‖H‖_F and its standard error
    noise: Noise
    quadrature: list[Ritz]  # one a probe
    vectors: Tensor  # (P, 2), of the lowest and the highest value, unit norm
    converged: bool  # both bounds within the tolerance


def operator_spectrum(
    operator: Operator,
    config: SpectrumConfig,
    generator: torch.Generator,
    guess: Tensor | None = None,
    trace: Trace | None = None,
) -> OperatorSpectrum:
    """Compute both ends, trace and quadrature nodes of a symmetric operator.

    Args:
        operator: size P.
        config: steps, probes, tolerance, memory.
        generator: CPU generator of the random vectors.
        guess: (P, 2) vectors near the extreme ones; their sum starts one more run, which serves the
            ends only, since quadrature and trace need random starts.
        trace: known already; default: estimated here.

    Raises:
        InputError: a product comes out differently the second time, and that is not allowed.
    """
    starts = random_probes(operator, config.probes, generator)
    if guess is not None:
        starts = torch.cat([starts, guess.sum(dim=1, keepdim=True).to(starts)], dim=1)
    runs = lanczos(
        operator,
        starts,
        config.steps,
        stop=partial(ends_found, tolerance=config.tolerance) if config.tolerance else None,
        capacity=_basis_capacity(operator, config),
    )
    low, high, noise, vectors = certified_ends(operator, runs)
    scale = max(abs(low.value), abs(high.value))
    if not config.allow_nondeterministic:
        longest = max(math.hypot(end.value, end.residual) for end in (low, high))
        _refuse_chance(noise.repeatability, longest, operator.dtype)
    if trace is None:
        trace = deflated_trace(operator, runs[0], config.trace_probes, generator)
    converged = max(low.bound, high.bound) <= config.tolerance * scale
    quadrature = [run.quadrature for run in runs[: config.probes]]
    norm = frobenius_norm(quadrature, operator.size)
    return OperatorSpectrum(low, high, trace, norm, noise, quadrature, vectors, converged)


def spectrum(
    subject: Subject,
    scopes: tuple[Scope, ...],
    config: SpectrumConfig,
    *,
    samples_per_class: int | None = None,
    dtype: torch.dtype = torch.float32,
    bn: BatchNormMode = "eval",
    batch_size: int = 256,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
    memory: dict[str, Tensor] | None = None,
) -> Spectrum:
    """Compute the Hessian spectrum of every scope.

    Args:
        subject: model, data and loss.
        scopes: from :meth:`Subject.scopes`.
        config: steps, probes, trace probes and tolerance.
        samples_per_class: at most so many samples of a class; groups keep their true weighting.
        dtype: precision of the products.
        bn: BatchNorm mode.
        batch_size: samples a forward pass.
        seed: seed of probes and draw; each scope starts from it anew, so that a scope's numbers
            do not depend on which others are asked for.
        progress: called with the name of each scope as it starts.
        memory: extreme vectors (P, 2) of each scope at a neighbouring checkpoint, used with
            ``config.warm_start`` and replaced by those found here.

    Raises:
        InputError: a scope has no samples.
    """
    memory = memory if memory is not None and config.warm_start else {}
    options = {"dtype": dtype, "bn": bn, "batch_size": batch_size}
    traces: dict[int, Trace] = {}
    rows, ritz = {}, {}
    for scope in sorted(scopes, key=lambda scope: len(scope.classes) > 1):
        if progress is not None:
            progress(scope.name)
        selection = subject.select(scope, samples_per_class, seed)
        trace = _trace_of_classes(subject, scope, selection, traces) if bn == "eval" else None
        if bn == "batch":
            selection = subject.mixed(selection, seed)
        operator = _operator(subject, selection, config, **options)
        if not config.allow_nondeterministic:
            operator.refuse_chance()
        loss, gradient = operator.loss_and_gradient()
        generator = torch.Generator().manual_seed(seed)
        found = operator_spectrum(operator, config, generator, memory.get(scope.name), trace)
        if config.warm_start:
            memory[scope.name] = found.vectors.to(dtype)
        if len(scope.classes) == 1:
            traces[scope.classes[0]] = found.trace
        facts = scope_facts(subject, scope, len(selection.indices), loss, gradient)
        facts["graphs_kept"] = operator.kept_batches / max(operator.batches, 1)
        facts |= _curvature_facts(found, operator.products, loss, facts["grad_norm"])
        rows[scope] = facts if _is_hessian(config) else facts | {"verdict": ""}
        ritz[scope] = found.quadrature
    columns = {n: np.array([rows[scope][n] for scope in scopes]) for n in rows[scopes[0]]}
    values, weights = padded_ritz([ritz[scope] for scope in scopes])
    return Spectrum(**columns, ritz_values=values, ritz_weights=weights)


def _trace_of_classes(
    subject: Subject, scope: Scope, selection: Selection, known: dict[int, Trace]
) -> Trace | None:
    """Sum the classes' traces by their share of the scope's weight; ``None`` if one is unknown."""
    labels = subject.data.labels[selection.indices]
    shares = torch.bincount(labels, selection.weights, minlength=subject.num_classes)
    present = [c for c in scope.classes if shares[c] > 0]
    if len(scope.classes) == 1 or not set(present) <= set(known):
        return None
    return weighted_sum([known[c] for c in present], [float(shares[c]) for c in present])


def _operator(
    subject: Subject, selection: Selection, config: SpectrumConfig, **options: Any
) -> CurvatureOperator:
    operator = CurvatureOperator(
        subject,
        selection,
        curvature=config.curvature,
        parameters=config.parameters,
        blocks=config.blocks,
        weight_decay=config.weight_decay,
        memory_budget=config.memory_budget,
        shared=options["bn"] == "eval",
        **options,
    )
    starts = config.probes + config.warm_start
    operator.reserve(_basis_capacity(operator, config) * starts * _vector_bytes(operator))
    return operator


def _basis_capacity(operator: Operator, config: SpectrumConfig) -> int:
    """Lanczos vectors of a run that are held at once: half of the budget may go to the basis."""
    if config.memory_budget == 0:  # which keeps no graph; the basis is not bounded by it
        return min(config.steps + 1, operator.size + 1)
    starts = config.probes + config.warm_start
    fitting = int(config.memory_budget * GIB / 2) // (starts * _vector_bytes(operator))
    return min(fitting, config.steps + 1, operator.size + 1)


def _vector_bytes(operator: Operator) -> int:
    return operator.size * operator.dtype.itemsize


def _refuse_chance(repeatability: float, scale: float, dtype: torch.dtype) -> None:
    """Compare how far two products of a unit vector differ with the length of the product."""
    allowed = 1e4 * torch.finfo(dtype).eps * scale
    if math.isfinite(scale) and not repeatability <= allowed:
        raise InputError(
            f"the same product came out differently the second time (by {repeatability:.2g}, where "
            f"rounding explains {allowed:.2g}): the loss is random or the data are drawn anew, by "
            "dropout, shuffling or augmentation. Switch that off, or go on with "
            "--spectrum.allow-nondeterministic"
        )


def scope_facts(
    subject: Subject, scope: Scope, samples: int, loss: float, gradient: Tensor
) -> dict[str, Any]:
    """Collect what a row says of a scope before any curvature."""
    return {
        "scope": scope.name,
        "training_count": sum(subject.class_counts[c] for c in scope.classes),
        "samples": samples,
        "loss": loss,
        "grad_norm": float(norm(gradient)),
    }


def _is_hessian(config: SpectrumConfig) -> bool:
    """Whether the matrix is the whole Hessian, of which a verdict speaks."""
    whole = config.parameters == ("*",) and not config.blocks
    return whole and config.curvature == "hessian" and config.weight_decay == 0


def _curvature_facts(
    found: OperatorSpectrum, products: int, loss: float, grad_norm: float
) -> dict[str, Any]:
    low, high = found.low, found.high
    return {
        "lambda_max": high.value,
        "lambda_max_residual": high.residual,
        "lambda_max_bound": high.bound,
        "lambda_min": low.value,
        "lambda_min_residual": low.residual,
        "lambda_min_bound": low.bound,
        "trace": found.trace.value,
        "trace_sem": found.trace.sem,
        "frobenius": found.frobenius[0],
        "frobenius_sem": found.frobenius[1],
        "matvecs": products,
        "noise_floor": found.noise.asymmetry,
        "repeatability": found.noise.repeatability,
        "converged": found.converged,
        "verdict": verdict(low.value, low.bound, high.value, high.bound),
        "gradient_small": gradient_is_small(loss, grad_norm, high.value),
    }


def padded_ritz(ritz: list[list[Ritz]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Stack Ritz values and weights to (S, probe, step), NaN where a run ended early."""
    longest = max(len(one.values) for probes in ritz for one in probes)
    values = np.full((len(ritz), len(ritz[0]), longest), np.nan)
    weights = values.copy()
    for s, probes in enumerate(ritz):
        for k, one in enumerate(probes):
            values[s, k, : len(one.values)] = one.values.numpy()
            weights[s, k, : len(one.values)] = one.weights.numpy()
    return values, weights
