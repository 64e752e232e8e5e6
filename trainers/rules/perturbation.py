"""Perturbations of the parameters, and their exact reversal."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

Schedule = Literal["constant", "late", "step", "step-large", "step-inat", "linear"]
BatchNormUpdate = Literal["both", "first"]


def joint_norm(tensors: Sequence[Tensor]) -> Tensor:
    """Compute the Euclidean norm of all entries of all tensors."""
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


def scheduled(rho: float, schedule: Schedule, epoch: int, epochs: int) -> float:
    """Return the radius of an epoch.

    Of the released Saddle-LongTail code, ``step``: ρ/2 in the first 5 of 200 epochs, ρ until the
    160th, 5 ρ until the 180th, then 6 ρ (0.05, 0.1, 0.5 and 0.6 there, so ρ = 0.1);
    ``step-large``: ρ/2 in the first 5 of 90 epochs, ρ until the 60th, then 5 ρ (ImageNet-LT and
    iNaturalist); ``step-inat``: likewise, ρ until the 75th, then 2 ρ (CE on iNaturalist);
    ``linear``: from ρ/16 in the first to ρ in the last (0.05 to 0.8 there, so
    ρ = 0.8). Of the released Focal-SAM code, ``late``: ρ, doubled for the last fifth, which begins
    an epoch early (epoch + 1 ≥ 0.8 epochs).

    Args:
        rho: radius; of ``step``, that of the larger part of training.
        schedule: its course.
        epoch: counted from 0.
        epochs: of the training.
    """
    if schedule == "constant":
        return rho
    if schedule == "linear":
        return rho * (1 + 15 * epoch / max(epochs - 1, 1)) / 16
    if schedule == "late":
        return 2 * rho if 5 * (epoch + 1) >= 4 * epochs else rho
    factors = {
        "step": ((0.9, 6.0), (0.8, 5.0), (0.025, 1.0)),
        "step-large": ((60 / 90, 5.0), (5 / 90, 1.0)),
        "step-inat": ((75 / 90, 2.0), (5 / 90, 1.0)),
    }[schedule]
    return rho * next((factor for start, factor in factors if epoch >= start * epochs), 0.5)


@contextmanager
def perturbed(parameters: Sequence[nn.Parameter], offsets: Sequence[Tensor]) -> Iterator[None]:
    """Add offsets to parameters inside the block; restore the exact former values after it."""
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
