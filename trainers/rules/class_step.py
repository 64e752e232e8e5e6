"""Directions made of class gradients, shared by the multi-objective rules.

The objectives are f_c = K_b/B Σ_(y_i = c) ℓ_i for the K_b classes present in the batch, so that
their mean is the batch loss and equal weights give its gradient. Their gradients are taken over the
network's last stage, where classes meet (released PLOT code), or over all parameters; everything
else follows the batch loss.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landscape.errors import InputError
from landscape.weight_space.class_gradients import gradients_of
from trainers.objective import Objective

Array = NDArray[np.float64]
Layers = Literal["last", "all"]
Weights = Callable[[Array, Array], Array]  # Gram matrix (C, C) and objectives (C,) -> (C,)


def membership(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the classes present (C,) and their members (C, B), boolean."""
    classes = labels.unique()
    return classes, classes[:, None] == labels[None, :]


def class_objectives(each: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the classes present (C,) and their objectives f_c (C,), whose mean is the batch loss.

    Args:
        each: (B,) losses.
        labels: (B,).
    """
    classes, members = membership(labels)
    return classes, (members.to(each.dtype) @ each) * (len(classes) / len(each))


def gram_matrix(gradients: list[Tensor]) -> Array:
    """Return the inner products (C, C) of class gradients, in float64."""
    total = sum(flat @ flat.T for flat in (g.flatten(1).double() for g in gradients))
    assert isinstance(total, Tensor)
    return total.cpu().numpy()


def split_parameters(
    objective: Objective, layers: Layers
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split the parameters into the part over which classes are weighed, and the rest."""
    trainable = objective.parameters
    if layers == "all":
        return trainable, []
    last = {id(p) for p in objective.model.last_parameters()}
    weighed = [p for p in trainable if id(p) in last]
    return weighed, [p for p in trainable if id(p) not in last]


def fill(
    total: Tensor,
    objectives: Tensor,
    weighed: list[nn.Parameter],
    others: list[nn.Parameter],
    weights: Weights,
    *,
    batched: bool = True,
) -> None:
    """Fill ``p.grad``: ``weighed`` parameters with Σ u_c ∇f_c, ``others`` with ∇ ``total``.

    Args:
        total: the loss the other parameters follow.
        objectives: (C,).
        weighed: parameters over which classes are weighed.
        others: the rest.
        weights: gives u from the Gram matrix of the class gradients and the objectives' values.
        batched: whether several backward passes can be one.
    """
    gradients = gradients_of(objectives, weighed, batched=batched)
    values = objectives.detach().double().cpu().numpy()
    gram = gram_matrix(gradients)
    if not np.isfinite(gram).all():
        raise InputError("the class gradients are not finite: training diverged; lower --lr")
    found = torch.from_numpy(weights(gram, values))
    for parameter, rows in zip(weighed, gradients, strict=True):
        parameter.grad = torch.tensordot(found.to(rows), rows, dims=1)
    if others:
        rest = torch.autograd.grad(total, others, materialize_grads=True)
        for parameter, gradient in zip(others, rest, strict=True):
            parameter.grad = gradient


def class_step(objective: Objective, layers: Layers, weights: Weights) -> Tensor:
    """Take one step of a rule that weighs class gradients; return the detached losses (B,)."""
    each = objective.losses()
    _, objectives = class_objectives(each, objective.labels)
    weighed, others = split_parameters(objective, layers)
    batched = objective.forward.compile_mode is None
    fill(each.mean(), objectives, weighed, others, weights, batched=batched)
    return each.detach()


def log_ratio_prior(class_counts: Tensor, labels: Tensor) -> Array:
    """Return log(n_max / n_c + 0.01) / 2 of the classes present, normalised to sum 1.

    The preference of the released PLOT code: rare classes count more.
    """
    counts = class_counts.double().cpu()
    prior = (counts.max() / counts + 0.01).log() / 2
    present = prior[labels.unique().cpu()]
    return (present / present.sum()).numpy()
