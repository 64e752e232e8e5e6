"""Mixup (Zhang et al. 2018): each sample mixed with a random other of its batch.

x = λ x_i + (1 - λ) x_j with one λ ~ Beta(α, α) a batch, as in the authors' code; the loss is mixed
likewise, λ ℓ(f(x), y_i) + (1 - λ) ℓ(f(x), y_j).
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mixed:
    """Hold a mixed batch."""

    inputs: Tensor  # (B, …)
    partners: Tensor  # (B,) labels of the samples mixed in
    share: float  # λ, of a sample itself


def mixup(inputs: Tensor, labels: Tensor, alpha: float, generator: torch.Generator) -> Mixed:
    """Mix a batch with a permutation of itself.

    Args:
        inputs: (B, …) float.
        labels: (B,).
        alpha: of the Beta distribution, at least 0; 0 mixes nothing.
        generator: on any device.

    Raises:
        ValueError: alpha is negative.
    """
    share = _beta(alpha, generator)
    order = torch.randperm(len(inputs), generator=generator, device=generator.device)
    others = inputs[order.to(inputs.device)]
    return Mixed(share * inputs + (1 - share) * others, labels[order.to(labels.device)], share)


def _beta(alpha: float, generator: torch.Generator) -> float:
    if alpha < 0:
        raise ValueError(f"alpha {alpha:g} is negative; 0 mixes nothing")
    if alpha == 0:
        return 1.0
    # torch.distributions take no generator. Gamma(α) is Gamma(α + 1) U^(1/α), taken as a logarithm
    # because for small α both numbers would underflow.
    shape = torch.full((2,), alpha + 1, dtype=torch.float64, device=generator.device)
    uniform = torch.rand(2, dtype=torch.float64, generator=generator, device=generator.device)
    logs = torch._standard_gamma(shape, generator=generator).log() + (-uniform).log1p() / alpha
    return float((logs[0] - logs[1]).sigmoid())
