"""Random vectors: signs for estimates of a trace, directions for Krylov runs."""

import torch
from torch import Tensor

from landscape.curvature.norms import norm
from landscape.curvature.operator import Operator


def random_probes(operator: Operator, count: int, generator: torch.Generator) -> Tensor:
    """Draw Rademacher vectors of unit norm, (P, count).

    Args:
        operator: gives size, dtype and device.
        count: number of vectors.
        generator: CPU generator; the draw does not depend on the device.
    """
    signs = torch.randint(0, 2, (operator.size, count), generator=generator, dtype=torch.int8)
    return (2 * signs - 1).to(operator.device, operator.dtype) / operator.size**0.5


def sphere_starts(operator: Operator, count: int, generator: torch.Generator) -> Tensor:
    """Draw unit vectors uniformly on the sphere, (P, count).

    Args:
        operator: gives size, dtype and device.
        count: number of vectors.
        generator: CPU generator; the draw does not depend on the device.
    """
    drawn = torch.randn((operator.size, count), generator=generator, dtype=torch.float64)
    return (drawn / norm(drawn, dim=0)).to(operator.device, operator.dtype)
