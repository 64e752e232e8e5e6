r"""Class-wise Hessian spectra: both ends with error bounds, trace, density, verdict.

One Krylov run a probe gives everything. Every scope's trace is estimated with the same random
vectors; since the Hessian is linear in the samples, the trace of a set of classes is the weighted
sum of theirs, and costs nothing where those are computed anyway.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscape.analyses.analysis import Call, Progress, by_keyword
from landscape.config import SpectrumConfig
from landscape.curvature.lanczos import Ritz, norm
from landscape.curvature.operator import CurvatureOperator
from landscape.curvature.operator_spectrum import (
    OperatorSpectrum,
    basis_capacity,
    operator_spectra,
    vector_bytes,
)
from landscape.curvature.trace import Trace, weighted_sum
from landscape.curvature.verdict import gradient_is_small, verdict
from landscape.results.spectrum import Spectrum
from landscape.subject.evaluation_copy import BatchNormMode
from landscape.subject.subject import Scope, Selection, Subject

# mean loss below which float32 products may have lost their digits, and float64 certifies the ends
FITTED = 0.01


def compute_spectrum(
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
    traces: dict[int, list[Trace]] = {}
    rows, ritz = {}, {}
    for scope in sorted(scopes, key=lambda scope: len(scope.classes) > 1):
        if progress is not None:
            progress(scope.name)
        selection = subject.select(scope, samples_per_class, seed)
        known = _traces_of_classes(subject, scope, selection, traces) if bn == "eval" else None
        if bn == "batch":
            selection = subject.mixed(selection, seed)
        operator = _operator(subject, selection, config, **options)
        if not config.allow_nondeterministic:
            operator.check_deterministic()
        loss, gradient = operator.loss_and_gradient()
        generator = torch.Generator().manual_seed(seed)
        guess = memory.get(scope.name)
        judge = operator.in_float64() if loss < FITTED and dtype != torch.float64 else None
        found = operator_spectra(operator, operator.sizes, config, generator, guess, known, judge)
        if config.warm_start:
            memory[scope.name] = torch.cat([f.vectors for f in found]).to(dtype)
        if len(scope.classes) == 1:
            traces[scope.classes[0]] = [f.trace for f in found]
        facts = scope_facts(subject, scope, len(selection.indices), loss, gradient)
        facts["graphs_kept"] = operator.kept_batches / max(operator.batches, 1)
        rows[scope] = _rows(facts, operator.blocks, found, config)
        ritz[scope] = [one.quadrature for one in found]
    ordered = [row for scope in scopes for row in rows[scope]]
    columns = {name: np.array([row[name] for row in ordered]) for name in ordered[0]}
    values, weights = padded_ritz([one for scope in scopes for one in ritz[scope]])
    return Spectrum(**columns, ritz_values=values, ritz_weights=weights)


@by_keyword
def spectrum(
    subject: Subject,
    *,
    progress: Progress | None = None,
    memory: dict[str, Tensor] | None = None,
    **settings: Any,
) -> Spectrum:
    """Compute the Hessian spectrum of every scope: both ends, trace, density, verdict.

    Args:
        subject: model, data and loss.
        progress: called with the name of each scope as it starts.
        memory: extreme vectors of a neighbouring checkpoint by scope, used with ``warm_start`` and
            replaced by those found.
        settings: ``scopes``, ``split``, ``samples_per_class``, ``bn``, those of every analysis, and
            those of :class:`landscape.config.SpectrumConfig`, such as ``steps`` and ``tolerance``.

    Raises:
        InputError: an unknown keyword, a value out of range, or a scope without samples.
    """
    call = Call.of("spectrum", subject, settings)
    found = compute_spectrum(
        subject,
        call.scopes(),
        call.config.spectrum,
        samples_per_class=call.config.samples_per_class,
        dtype=call.dtype,
        bn=call.config.bn,
        batch_size=call.config.batch_size,
        seed=call.config.seed,
        progress=progress,
        memory=memory,
    )
    return call.finish(found)


def _rows(
    facts: dict[str, Any],
    blocks: tuple[str, ...],
    found: list[OperatorSpectrum],
    config: SpectrumConfig,
) -> list[dict[str, Any]]:
    """The scope's row, or one for each layer; a verdict is of the whole Hessian."""
    rows = []
    for block, one in zip(blocks, found, strict=True):
        row = facts | _curvature_facts(one, facts["loss"], facts["grad_norm"])
        if not _is_hessian(config):
            row["verdict"] = ""
        if config.blocks:
            row["scope"] = f"{facts['scope']}@{block}"
        rows.append(row)
    return rows


def _traces_of_classes(
    subject: Subject, scope: Scope, selection: Selection, known: dict[int, list[Trace]]
) -> list[Trace] | None:
    """Sum the classes' traces by their share of the scope's weight, block by block.

    ``None`` if a class's is unknown.
    """
    labels = subject.data.labels[selection.indices]
    shares = torch.bincount(labels, selection.weights, minlength=subject.num_classes)
    present = [c for c in scope.classes if shares[c] > 0]
    if len(scope.classes) == 1 or not set(present) <= set(known):
        return None
    weights = [float(shares[c]) for c in present]
    blocks = zip(*(known[c] for c in present), strict=True)
    return [weighted_sum(traces, weights) for traces in blocks]


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
    operator.reserve(basis_capacity(operator, config) * starts * vector_bytes(operator))
    return operator


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


def _curvature_facts(found: OperatorSpectrum, loss: float, grad_norm: float) -> dict[str, Any]:
    low, high = found.low, found.high
    return {
        "lambda_max": high.value,
        "lambda_max_residual": high.residual,
        "lambda_max_bound": high.bound,
        "lambda_min": low.value,
        "lambda_min_residual": low.residual,
        "lambda_min_bound": low.bound,
        "lowest": found.lowest,
        "highest": found.highest,
        "trace": found.trace.value,
        "trace_sem": found.trace.sem,
        "frobenius": found.frobenius[0],
        "frobenius_sem": found.frobenius[1],
        "matvecs": found.products,
        "noise_floor": found.noise.asymmetry,
        "repeatability": found.noise.repeatability,
        "converged": found.converged,
        "verdict": verdict(low.value, low.bound, high.value, high.bound, found.lowest),
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
