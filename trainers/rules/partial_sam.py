"""SAM on a part of the loss, shared by Focal-SAM and ImbSAM.

L = A + B with A = mean a_i ℓ_i and B = mean b_i ℓ_i. The direction is ∇A(w) + ∇B(w + ε) with
ε = ρ ∇B(w) / ‖∇B(w)‖: two forward passes, and three backward ones.
"""

import torch
from torch import Tensor

from trainers.objective import Objective
from trainers.rules.perturbation import (
    BatchNormUpdate,
    ascent,
    frozen_statistics,
    perturbed,
)


def partial_sam(
    objective: Objective,
    plain: Tensor,
    sharp: Tensor,
    rho: float,
    bn_update: BatchNormUpdate,
    *,
    sparse: bool = False,
) -> Tensor:
    """Fill ``p.grad``.

    Args:
        objective: of the batch.
        plain: (B,) a, the weights of the part that is followed where it is.
        sharp: (B,) b, of the part whose gradient is taken at the end of its ascent.
        rho: length of the ascent step.
        bn_update: which passes update BatchNorm's running statistics.
        sparse: whether a batch may lack one of the parts, which then costs no pass; to see that, a
            GPU has to be waited for.

    Returns:
        The detached losses (B,) at the unperturbed parameters.
    """
    parameters = objective.parameters
    each = objective.losses()
    if sparse and not sharp.any():
        (plain * each).mean().backward()
        return each.detach()
    part = (sharp * each).mean()
    gradients = torch.autograd.grad(part, parameters, retain_graph=True, materialize_grads=True)
    if not sparse or plain.any():
        (plain * each).mean().backward()
    detached = each.detach()
    del each, part
    frozen = frozen_statistics(objective.model, active=bn_update == "first")
    with perturbed(parameters, ascent(gradients, rho)), frozen:
        (sharp * objective.losses()).mean().backward()
    return detached
