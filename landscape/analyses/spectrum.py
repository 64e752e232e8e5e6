r"""Compute class-wise Hessian spectra: both ends with error bounds, trace, density, verdict.

One Krylov run a probe gives everything. Every scope's trace is estimated with the same random
vectors; since the Hessian is linear in the samples, the trace of a set of classes is the weighted
sum of theirs, and costs nothing where those are computed anyway.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscape.analyses.analysis import Precision, Progress, analysis, precision
from landscape.analyses.kept_spectra import KeptSpectra, spectra_of
from landscape.config import DiagnoseConfig, SpectrumConfig
from landscape.curvature.lanczos import Ritz
from landscape.curvature.norms import norm
from landscape.curvature.operator import CurvatureOperator
from landscape.curvature.operator_spectrum import (
    OperatorSpectrum,
    check_warm_start,
    share_memory,
)
from landscape.curvature.trace import Trace, weighted_sum
from landscape.curvature.verdict import gradient_is_small, verdict
from landscape.groups import SplitName
from landscape.results.matrix import MatrixSpec
from landscape.results.spectrum import Spectrum
from landscape.subject.evaluation_copy import BatchNormMode
from landscape.subject.subject import Scope, Selection, Subject


@analysis("spectrum")
def spectrum(
    subject: Subject,
    settings: SpectrumConfig = DiagnoseConfig.spectrum,
    *,
    scopes: str | Sequence[str] = DiagnoseConfig.scopes,
    split: SplitName | None = None,
    samples_per_class: int | None = None,
    dtype: Precision = None,
    bn: BatchNormMode = "eval",
    batch_size: int = 256,
    seed: int = 0,
    progress: Progress | None = None,
    warm_start_vectors: dict[str, Tensor] | None = None,
    kept_spectra: KeptSpectra | None = None,
) -> Spectrum:
    """Compute the Hessian spectrum of every scope: both ends, trace, density, verdict.

    The mean of w₁² and 4 w₂² has the Hessian diag(1, 4):

    >>> import torch
    >>> from landscape import Subject, TensorData
    >>> model = torch.nn.Linear(2, 1, bias=False).double()
    >>> data = TensorData(torch.diag(torch.tensor([1.0, 2.0])).double(), torch.tensor([0, 0]))
    >>> subject = Subject(model, data, lambda outputs, _: outputs[:, 0] ** 2)
    >>> found = spectrum(subject, SpectrumConfig(probes=1), scopes="overall")
    >>> found.lambda_min.round(6), found.lambda_max.round(6), found.trace.round(6)
    (array([1.]), array([4.]), array([5.]))

    Args:
        subject: model, data and loss.
        settings: the matrix, steps, probes, trace probes and tolerance.
        scopes: sets of samples, such as ``"classes"`` or ``("overall", "class/3")``.
        split: rule that defines head, mid and tail.
        samples_per_class: at most so many samples of a class; groups keep their true weighting.
        dtype: precision of the products. Default: the model's, single precision at least.
        bn: BatchNorm by its running statistics, or by those of each batch; only the first Hessian
            has a verdict.
        batch_size: samples a forward pass.
        seed: of probes and of the draw of samples; each scope starts from it anew, so that a
            scope's numbers do not depend on which others are asked for.
        progress: called with the name of each scope as it starts.
        warm_start_vectors: extreme vectors (P, 2) of each scope at a neighbouring checkpoint, used
            with ``settings.warm_start`` and replaced by those found here.
        kept_spectra: filled with what other analyses of this checkpoint need.

    Raises:
        InputError: a value out of range, or a scope without samples.
    """
    resolved = subject.scopes(scopes, split)
    known = warm_start_vectors if warm_start_vectors is not None and settings.warm_start else {}
    options = {"dtype": precision(dtype, subject), "bn": bn, "batch_size": batch_size}
    traces: dict[int, list[Trace]] = {}
    operator = _sound_operator(subject, resolved, samples_per_class, seed, settings, options)
    rows, ritz = {}, {}
    for scope in sorted(resolved, key=lambda scope: len(scope.classes) > 1):
        if progress is not None:
            progress(scope.name)
        selection = subject.select(scope, samples_per_class, seed)
        summed = _traces_of_classes(subject, scope, selection, traces) if bn == "eval" else None
        if bn == "batch":
            selection = subject.mixed(selection, seed)
        operator = operator.on(selection)
        share_memory(operator, settings)
        if settings.warm_start:
            check_warm_start(operator, len({s.name for s in resolved} - set(known)))
        kept = KeptSpectra() if kept_spectra is None else kept_spectra
        guess = known.get(scope.name)
        found, loss, gradient = spectra_of(operator, settings, seed, guess, summed, kept.leading)
        vectors = torch.cat([f.vectors for f in found])
        if settings.warm_start and vectors.isfinite().all():
            known[scope.name] = vectors.cpu().to(options["dtype"])
        if len(scope.classes) == 1:
            traces[scope.classes[0]] = [f.trace for f in found]
        facts = scope_facts(subject, scope, selection.counted, loss, gradient)
        matrix = MatrixSpec.of(settings, bn)
        kept.keep(scope.name, matrix, found[0], loss, facts["grad_norm"])
        facts["graphs_kept"] = operator.kept_batches / max(operator.batches, 1)
        rows[scope] = _rows(facts, operator.blocks, found, matrix)
        ritz[scope] = [one.quadrature for one in found]
    return spectrum_record(
        [row for scope in resolved for row in rows[scope]],
        [one for scope in resolved for one in ritz[scope]],
    )


def _rows(
    facts: dict[str, Any],
    blocks: tuple[str, ...],
    found: list[OperatorSpectrum],
    matrix: MatrixSpec,
) -> list[dict[str, Any]]:
    """Build the scope's row, or one for each layer; only the whole Hessian has a verdict."""
    rows = []
    for block, one in zip(blocks, found, strict=True):
        row = facts | _curvature_facts(one, facts["loss"], facts["grad_norm"])
        if not matrix.is_hessian:
            row["verdict"] = ""
        if matrix.blocks:
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


def _sound_operator(
    subject: Subject,
    scopes: Sequence[Scope],
    samples_per_class: int | None,
    seed: int,
    config: SpectrumConfig,
    options: dict[str, Any],
) -> CurvatureOperator:
    """Build the operator of all scopes' samples, and test on some of each whether it is sound."""
    classes = sorted({c for scope in scopes for c in scope.classes})
    selection = subject.select(Scope("all scopes", tuple(classes)), samples_per_class, seed)
    if options["bn"] == "batch":
        selection = subject.mixed(selection, seed)
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
    if not config.allow_nondeterministic:
        operator.check_deterministic()
    return operator


def scope_facts(
    subject: Subject, scope: Scope, samples: int, loss: float, gradient: Tensor
) -> dict[str, Any]:
    """Collect the columns of a scope's row that need no curvature."""
    return {
        "scope": scope.name,
        "training_count": sum(subject.class_counts[c] for c in scope.classes),
        "samples": samples,
        "loss": loss,
        "grad_norm": float(norm(gradient)),
    }


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
        "trace_probes": 0 if found.trace.sem == 0 else len(found.trace.samples),
        "frobenius": found.frobenius[0],
        "frobenius_sem": found.frobenius[1],
        "matvecs": found.products,
        "noise_floor": found.noise.rounding,
        "repeatability": found.noise.repeatability,
        "converged": found.converged,
        "orthogonality_loss": found.orthogonality_loss,
        "dimension": len(found.vectors),
        "verdict": verdict(
            low.value, high.value, found.lowest, found.highest, found.noise.rounding
        ),
        "gradient_small": gradient_is_small(loss, grad_norm, high.value),
    }


def spectrum_record(rows: list[dict[str, Any]], ritz: list[list[Ritz]]) -> Spectrum:
    """Build the record of rows and of each row's Ritz values, one run a probe."""
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    values, weights = padded_ritz(ritz)
    columns |= {"ritz_values": values, "ritz_weights": weights}
    return Spectrum(**Spectrum.completed(columns))


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
