"""Spectra of scopes that several analyses of one checkpoint need, each computed once."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from landscape.config import SpectrumConfig
from landscape.curvature.norms import norm
from landscape.curvature.operator import CurvatureOperator
from landscape.curvature.operator_spectrum import (
    OperatorSpectrum,
    operator_spectra,
    share_memory,
)
from landscape.curvature.trace import Trace
from landscape.errors import InputError
from landscape.results.matrix import MatrixSpec
from landscape.subject.subject import Scope, Selection, Subject

# mean loss below which float32 products may have lost their digits, and float64 certifies the ends
FITTED = 0.01


@dataclass(frozen=True)
class ScopeSpectrum:
    """The Hessian's spectrum of a scope, with its loss and gradient norm."""

    spectrum: OperatorSpectrum
    loss: float
    grad_norm: float


@dataclass
class KeptSpectra:
    """What an analysis of a checkpoint leaves to the next ones, by scope.

    Args:
        leading: uppermost Ritz pairs that a later analysis needs.
    """

    leading: int = 0
    scopes: dict[str, ScopeSpectrum] = field(default_factory=dict)

    def keep(
        self, scope: str, matrix: MatrixSpec, found: OperatorSpectrum, loss: float, length: float
    ) -> None:
        """Keep the spectrum of a whole Hessian, its vectors on the CPU; others are of no use."""
        if matrix.is_hessian:
            held = replace(found, vectors=found.vectors.cpu())
            self.scopes[scope] = ScopeSpectrum(held, loss, length)


def spectra_of(
    operator: CurvatureOperator,
    settings: SpectrumConfig,
    seed: int,
    guess: Tensor | None = None,
    traces: list[Trace] | None = None,
    leading: int = 0,
) -> tuple[list[OperatorSpectrum], float, Tensor]:
    """Compute the spectra of an operator's blocks, the loss and its gradient."""
    if guess is not None and guess.shape != (operator.size, 2):
        raise InputError(
            f"warm start vectors are {tuple(guess.shape)}; expected ({operator.size}, 2), one row "
            "for each parameter"
        )
    if not settings.allow_nondeterministic:
        operator.check_deterministic()
    loss, gradient = operator.loss_and_gradient()
    generator = torch.Generator().manual_seed(seed)
    precise = operator.dtype == torch.float64
    judge = operator.in_float64() if loss < FITTED and not precise else None
    found = operator_spectra(
        operator, operator.sizes, settings, generator, guess, traces, judge, leading=leading
    )
    return found, loss, gradient


def whole_hessian(settings: SpectrumConfig) -> SpectrumConfig:
    """Leave out of settings what asks for another matrix than the Hessian, or for its trace."""
    plain = SpectrumConfig()
    names = ("curvature", "parameters", "blocks", "weight_decay", "warm_start")
    return replace(settings, trace_probes=0, **{name: getattr(plain, name) for name in names})


def scope_spectrum(
    subject: Subject,
    scope: Scope,
    selection: Selection,
    settings: SpectrumConfig,
    kept: KeptSpectra,
    *,
    dtype: torch.dtype,
    batch_size: int,
    seed: int,
) -> ScopeSpectrum:
    """Look a scope's spectrum up, or compute it as :func:`landscape.spectrum` does, and keep it."""
    if scope.name not in kept.scopes:
        whole = whole_hessian(settings)
        operator = hessian_of(subject, selection, whole, dtype=dtype, batch_size=batch_size)
        share_memory(operator, whole)
        (found,), loss, gradient = spectra_of(operator, whole, seed, leading=kept.leading)
        kept.keep(scope.name, MatrixSpec(), found, loss, float(norm(gradient)))
    return kept.scopes[scope.name]


def hessian_of(
    subject: Subject, selection: Selection, settings: SpectrumConfig, **options: Any
) -> CurvatureOperator:
    """Build the operator of a selection's Hessian, within the budget of settings."""
    return CurvatureOperator(subject, selection, memory_budget=settings.memory_budget, **options)


def class_scopes(scopes: Sequence[Scope]) -> dict[int, Scope]:
    """List the scopes of a single class, by it."""
    return {s.classes[0]: s for s in scopes if s.name.startswith("class/")}
