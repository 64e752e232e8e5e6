"""Directions made of class gradients, shared by the multi-objective rules.

The objectives are f_c = K_b/B Σ_(y_i = c) ℓ_i for the K_b classes present in the batch, so that
their mean is the batch loss and equal weights give its gradient. Their gradients are taken over the
network's last stage, where classes meet (released PLOT code), over another one, or over all
parameters; everything else follows the batch loss.

Where the batch loss is the mean of the objectives, the backward pass that the other parameters need
gives its gradient over the weighed ones too, and the gradient of one class is what is left of it.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landscape.errors import InputError
from landscape.weight_space.class_gradients import gradients_of
from trainers.objective import Objective
from trainers.rules.sgd import SGD

Array = NDArray[np.float64]
Layers = Literal["last", "all", "layer1", "layer2", "layer3"]
_BLOCK = 4096  # columns of a block of gradients
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


def gram_matrix(gradients: Sequence[Sequence[Tensor]]) -> Array:
    """Return the inner products (C, C) of gradients, in float64.

    Args:
        gradients: for each parameter, the rows (C, …), in one tensor or more.
    """
    total: Tensor | None = None
    for rows in gradients:
        for blocks in zip(*(r.flatten(1).split(_BLOCK, dim=1) for r in rows), strict=True):
            wide = torch.cat(blocks).double()  # a block at a time stays in the processor's cache
            total = wide @ wide.T if total is None else total.addmm_(wide, wide.T)
    assert total is not None
    return total.cpu().numpy()


def split_parameters(
    objective: Objective, layers: Layers
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split the parameters into the part over which classes are weighed, and the rest."""
    trainable = objective.parameters
    if layers == "all":
        return trainable, []
    model = objective.model
    chosen = model.last_parameters() if layers == "last" else model.layer_parameters(layers)
    last = {id(p) for p in chosen}
    weighed = [p for p in trainable if id(p) in last]
    return weighed, [p for p in trainable if id(p) not in last]


def fill(
    total: Tensor,
    objectives: Tensor,
    weighed: list[nn.Parameter],
    others: list[nn.Parameter],
    weights: Weights,
    *,
    total_is_mean: bool = True,
    batched: bool = True,
) -> None:
    """Fill ``p.grad``: ``weighed`` parameters with Σ u_c ∇f_c, ``others`` with ∇ ``total``.

    Args:
        total: the loss the other parameters follow.
        objectives: (C,).
        weighed: parameters over which classes are weighed.
        others: the rest.
        weights: gives u from the Gram matrix of the class gradients and the objectives' values.
        total_is_mean: whether ``total`` is the mean of the objectives.
        batched: whether several backward passes can be one.
    """
    values = objectives.detach().double().cpu().numpy()
    classes = np.eye(len(values))  # class gradients in terms of those computed
    if total_is_mean and others:
        # C ∇total - Σ g_c is left for the class whose objective, and gradient, hides rounding best
        last = int(values.argmax())
        rest = [c for c in range(len(values)) if c != last]
        classes = classes[:, [*rest, last]]
        classes[last] = [-1.0] * len(rest) + [len(values)]
        found = gradients_of(objectives[rest], weighed, batched=batched) if rest else []
        _follow(total, [*weighed, *others])
        means = [p.grad[None] for p in weighed if p.grad is not None]
        rows = list(zip(found, means, strict=True)) if rest else [(mean,) for mean in means]
    else:
        rows = [(g,) for g in gradients_of(objectives, weighed, batched=batched)]
        _follow(total, others)
    gram = classes @ gram_matrix(rows) @ classes.T
    np.fill_diagonal(gram, gram.diagonal().clip(min=0))  # a gradient of zero, but for rounding
    if not np.isfinite(gram).all():
        raise InputError("the class gradients are not finite: training diverged; lower --lr")
    factors = torch.from_numpy(weights(gram, values) @ classes)
    for parameter, parts in zip(weighed, rows, strict=True):
        shares = factors.to(parts[0]).split([len(part) for part in parts])
        pairs = zip(shares, parts, strict=True)
        parameter.grad = sum(torch.tensordot(share, part, dims=1) for share, part in pairs)


def _follow(total: Tensor, parameters: list[nn.Parameter]) -> None:
    """Fill ``p.grad`` of some parameters with the gradient of ``total``."""
    if parameters:
        gradients = torch.autograd.grad(total, parameters, materialize_grads=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient


def is_shared(objective: Objective, shared_epochs: float) -> bool:
    """Return whether an epoch is one of the first, in which classes are weighed (PLOT, Sec. 3)."""
    return objective.epoch < round(shared_epochs * objective.epochs)


def class_step(
    objective: Objective, layers: Layers, weights: Weights, shared_epochs: float = 1.0
) -> Tensor:
    """Take one step of a rule that weighs class gradients; return the detached losses (B,).

    Args:
        objective: of the batch.
        layers: over which class gradients are taken.
        weights: see :func:`fill`.
        shared_epochs: share of the epochs in which classes are weighed; then training is plain.
    """
    if not is_shared(objective, shared_epochs):
        return SGD()(objective)
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
