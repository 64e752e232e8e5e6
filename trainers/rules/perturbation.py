"""Stepping away from the parameters and back, bit for bit."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

Schedule = Literal["constant", "step", "linear"]
BatchNormUpdate = Literal["both", "first"]


def joint_norm(tensors: Sequence[Tensor]) -> Tensor:
    """Euclidean norm of all entries of all tensors."""
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(t) for t in tensors]))


def ascent(
    gradients: Sequence[Tensor], rho: float | Tensor, scales: Sequence[Tensor] | None = None
) -> list[Tensor]:
    """Scale gradients to a joint Euclidean norm of ``rho``; ρ g / (‖g‖ + 1e-12).

    Args:
        gradients: one a parameter.
        rho: length of the step.
        scales: T of adaptive SAM, one a parameter: ρ T² g / (‖T g‖ + 1e-12).
    """
    if scales is None:
        factor = rho / (joint_norm(gradients) + 1e-12)
        return [g * factor for g in gradients]
    scaled = [t * g for t, g in zip(scales, gradients, strict=True)]
    factor = rho / (joint_norm(scaled) + 1e-12)
    return [t * s * factor for t, s in zip(scales, scaled, strict=True)]


def scheduled(rho: float, schedule: Schedule, progress: float) -> float:
    """Radius at a share of the training (released Saddle-LongTail code).

    ``step``: 1/12 of ρ in the first 3 %, 1/6 until 80 %, 5/6 until 90 %, then ρ (0.05, 0.1, 0.5 and
    0.6 there); ``linear``: from ρ/16 to ρ (0.05 to 0.8 there).

    Args:
        rho: final radius.
        schedule: its course.
        progress: share of the epochs that is over.
    """
    if schedule == "constant":
        return rho
    if schedule == "linear":
        return rho * (1 + 15 * progress) / 16
    factors = ((0.9, 1.0), (0.8, 5 / 6), (0.03, 1 / 6))
    return rho * next((factor for start, factor in factors if progress > start), 1 / 12)


@contextmanager
def perturbed(parameters: Sequence[nn.Parameter], offsets: Sequence[Tensor]) -> Iterator[None]:
    """Add offsets to parameters inside the block; the exact former values return after it."""
    former = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        for parameter, offset in zip(parameters, offsets, strict=True):
            parameter.add_(offset)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, former, strict=True):
                parameter.copy_(value)


@contextmanager
def frozen_statistics(model: nn.Module, *, active: bool = True) -> Iterator[None]:
    """Normalise by batch statistics inside the block without updating the running ones."""
    norms = [
        m
        for m in model.modules()
        if active
        and isinstance(m, nn.modules.batchnorm._BatchNorm)
        and m.training
        and m.track_running_stats
    ]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
