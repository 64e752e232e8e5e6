r"""Repeat the released class-wise analysis of Saddle-LongTail, for comparison only.

Its numbers are not to be trusted, and that is why it is here: one Rademacher probe of 100 Lanczos
steps on data that are augmented anew at every product, so that every step sees another matrix;
basis vectors divided by their norm plus 1e-6, so that they are no unit vectors once the norm falls
to 1e-4 and below; off-diagonals taken before re-orthogonalisation; λmin and λmax read off that one
run without a residual; the trace from Hutchinson probes until the running mean moves by less than
1e-3; class weights w averaged in every batch by itself, so that the matrix is

    H = Σ_b (n_b / n) Σ_{i∈b} w_i ∇²ℓ_i / Σ_{i∈b} w_i

over batches of 128, class by class, and w cancels where a batch is of one class (Rangwani et al.
2022, App. D, after PyHessian, Yao et al. 2020). Written from that description;
:mod:`landscape.analyses.spectrum` is the analysis to use.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landscape.analyses.analysis import Precision, analysis, precision
from landscape.analyses.spectrum import scope_facts, spectrum_record
from landscape.config import DiagnoseConfig
from landscape.curvature.lanczos import Ritz
from landscape.curvature.operator import CurvatureOperator, Operator
from landscape.curvature.sampling import random_probes
from landscape.curvature.verdict import gradient_is_small, verdict
from landscape.groups import SplitName
from landscape.results.spectrum import Spectrum
from landscape.subject.data import LabelledData
from landscape.subject.subject import Scope, Selection, Subject

STEPS, MOST_TRACE_PROBES, TRACE_TOLERANCE = 100, 100, 1e-3
BATCH_SIZE = 128
_SHIFT = 1e-6  # added to every norm


def released_lanczos(operator: Operator, start: Tensor, steps: int = STEPS) -> Ritz:
    """Run the released recurrence from one start (P,); residuals are NaN, it has none.

    Values are NaN, too, where a product is not finite.
    """
    alpha, beta = [], []
    basis = [start / (torch.linalg.vector_norm(start) + _SHIFT)]
    rest = torch.zeros_like(start)
    for step in range(steps):
        if step:
            beta.append(torch.linalg.vector_norm(rest))
            vector = rest
            for former in basis:
                vector = vector - (vector @ former) * former
            basis.append(vector / (torch.linalg.vector_norm(vector) + _SHIFT))
        product = operator.matmat(basis[-1][:, None])[:, 0]
        alpha.append(product @ basis[-1])
        rest = product - alpha[-1] * basis[-1]
        if step:
            rest = rest - beta[-1] * basis[-2]
    off = torch.diag(torch.stack(beta), 1) if beta else torch.zeros(1, 1).to(start)
    projected = (torch.diag(torch.stack(alpha)) + off + off.T).double().cpu()
    unknown = projected.new_full((steps,), torch.nan)
    if not projected.isfinite().all():
        return Ritz(unknown, unknown, unknown, torch.eye(steps, dtype=torch.float64))
    values, vectors = torch.linalg.eigh(projected)
    return Ritz(values, vectors[0] ** 2, unknown, vectors)


def released_trace(operator: Operator, generator: torch.Generator) -> list[float]:
    """Draw Hutchinson samples until their running mean moves by less than 1e-3 of itself."""
    samples: list[float] = []
    mean = 0.0
    for _ in range(MOST_TRACE_PROBES):
        z = random_probes(operator, 1, generator) * operator.size**0.5
        samples.append(float((z * operator.matmat(z)).sum()))
        former, mean = mean, float(np.mean(samples))
        if abs(mean - former) / (abs(former) + _SHIFT) < TRACE_TOLERANCE:
            break
    return samples


def released_selection(
    subject: Subject, scope: Scope, samples_per_class: int | None = None, seed: int = 0
) -> Selection:
    """Choose the samples of a scope, with class weights averaged batch by batch.

    Args:
        subject: its loss may have class weights.
        scope: the classes.
        samples_per_class: at most so many of each; a class keeps its share of the scope.
        seed: of that draw.

    Raises:
        InputError: the scope has no samples.
    """
    plain = replace(subject, loss=replace(subject.loss, class_weights=None))
    chosen = plain.select(scope, samples_per_class, seed)
    if subject.loss.class_weights is None:
        return chosen
    own = subject.loss.class_weights.cpu().double()[subject.data.labels[chosen.indices]]
    batches = zip(chosen.weights.split(BATCH_SIZE), own.split(BATCH_SIZE), strict=True)
    averaged = [s.sum() * (s * w) / (s * w).sum() for s, w in batches]
    return Selection(chosen.indices, torch.cat(averaged))


@analysis("spectrum-saddle")
def released_spectrum(
    subject: Subject,
    *,
    augmented: LabelledData | None = None,
    scopes: str | Sequence[str] = DiagnoseConfig.scopes,
    split: SplitName | None = None,
    samples_per_class: int | None = None,
    dtype: Precision = None,
    seed: int = 0,
) -> Spectrum:
    """Repeat the released analysis; bounds and residuals are NaN.

    Args:
        subject: its loss is expected to judge a cosine classifier's unscaled logits.
        augmented: its samples, augmented anew at every reading. Default: its data as they are.
        scopes: sets of samples, such as ``("overall", "class/3")``.
        split: rule that defines head, mid and tail.
        samples_per_class: at most so many samples of a class.
        dtype: precision of the products. Default: the model's, single precision at least.
        seed: of probe, trace and draw.

    Returns:
        A record whose verdicts follow from the point values alone.
    """
    own, subject = precision(dtype, subject), subject.on(augmented)
    operator: CurvatureOperator | None = None
    rows, ritz = [], []
    for scope in subject.scopes(scopes, split):
        selection = released_selection(subject, scope, samples_per_class, seed)
        if operator is None:
            operator = CurvatureOperator(
                subject, selection, dtype=own, batch_size=BATCH_SIZE, memory_budget=0.0
            )
        else:
            operator = operator.on(selection)
        row, found = _row(subject, scope, operator, selection.counted, seed)
        rows.append(row)
        ritz.append([found])
    return spectrum_record(rows, ritz)


def _row(
    subject: Subject, scope: Scope, operator: CurvatureOperator, samples: int, seed: int
) -> tuple[dict[str, Any], Ritz]:
    generator = torch.Generator().manual_seed(seed)
    loss, gradient = operator.loss_and_gradient()
    found = released_lanczos(operator, random_probes(operator, 1, generator)[:, 0])
    low, high = float(found.values[0]), float(found.values[-1])
    traces = released_trace(operator, generator)
    facts = scope_facts(subject, scope, samples, loss, gradient)
    unknown = dict.fromkeys(_WITHOUT, float("nan"))
    return facts | unknown | {
        "lambda_max": high,
        "lambda_min": low,
        "trace": float(np.mean(traces)),
        "trace_sem": _standard_error(traces),
        "matvecs": operator.products,
        "graphs_kept": 0.0,
        "converged": False,
        "verdict": verdict(low, high, low, high),
        "gradient_small": gradient_is_small(loss, facts["grad_norm"], high),
    }, found


def _standard_error(samples: list[float]) -> float:
    """Compute the standard error; NaN for one sample, which a zero Hessian gives, and for NaN."""
    if len(samples) < 2 or not np.isfinite(samples).all():
        return float("nan")
    return float(np.std(samples, ddof=1) / len(samples) ** 0.5)


_WITHOUT = (
    "lambda_max_residual",
    "lambda_max_bound",
    "lambda_min_residual",
    "lambda_min_bound",
    "lowest",
    "highest",
    "frobenius",
    "frobenius_sem",
    "trace_probes",
    "noise_floor",
    "repeatability",
    "orthogonality_loss",
    "dimension",
)
