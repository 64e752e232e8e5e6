"""Stepping away from the parameters and back, bit for bit."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def ascent(gradients: Sequence[Tensor], rho: float) -> list[Tensor]:
    """Scale gradients to a joint Euclidean norm of ``rho``; ρ g / (‖g‖ + 1e-12)."""
    norms = torch.stack([torch.linalg.vector_norm(g) for g in gradients])
    factor = rho / (torch.linalg.vector_norm(norms) + 1e-12)
    return [g * factor for g in gradients]


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
        if active and isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats
    ]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
