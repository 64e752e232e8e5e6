"""PLOT (Zhou et al. 2024): temporal Pareto optimisation of the shared features.

In the first E epochs, with ε = ρ g / ‖g‖ over the last stage, the class gradients of the loss at
w + ε, plus the variability-collapse loss v mean_c Std_c(ℓ), are combined by CAGrad; earlier stages
and the classifier follow its mean. After that, training is plain. The stages before the last are
run once a step, since the perturbation does not reach them.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from trainers.objective import Objective
from trainers.rules.class_step import (
    Array,
    Layers,
    class_objectives,
    fill,
    is_shared,
    log_ratio_prior,
    membership,
    split_parameters,
)
from trainers.rules.gradient_weights import cagrad_direction_weights
from trainers.rules.perturbation import ascent, perturbed
from trainers.rules.sgd import SGD


def class_deviations(each: Tensor, labels: Tensor) -> Tensor:
    """Return each present class's standard deviation of the losses (C,); 0 for a single sample.

    Args:
        each: (B,) losses.
        labels: (B,).
    """
    _, members = membership(labels)
    counts = members.sum(dim=1).to(each.dtype)
    means = (members.to(each.dtype) @ each) / counts
    squares = (members * (each - means[:, None]) ** 2).sum(dim=1)
    spread = squares / (counts - 1).clamp(min=1)
    # the root's slope at zero is infinite, and its product with zero no number
    positive = spread > 0
    return torch.where(positive, torch.where(positive, spread, 1.0).sqrt(), 0.0)


@dataclass(frozen=True)
class PLOT:
    """Train by conflict-averse shared epochs, then by plain ones.

    Args:
        shared_epochs: share of the epochs in which classes are weighed.
        rho: length of the ascent step.
        c: CAGrad's radius.
        variability: weight of the variability-collapse loss.
        in_class_gradients: whether class gradients hold it.
        prior: weights of the mean gradient in CAGrad's dual.
        rescale: ``yes`` divides the direction by 1 + c².
        kept: share of the perturbation that is never undone.
        labels: of mixed images at the perturbed weights.
        layers: that are perturbed and weighed.
    """

    shared_epochs: float = 0.25
    rho: float = 1e-4
    c: float = 0.5
    variability: float = 1.0
    in_class_gradients: Literal["yes", "no"] = "yes"
    prior: Literal["uniform", "log-ratio"] = "uniform"
    rescale: Literal["no", "yes"] = "no"
    kept: float = 0.0
    labels: Literal["mixed", "hard"] = "mixed"
    layers: Layers = "last"

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad``."""
        if not is_shared(objective, self.shared_epochs):
            return SGD()(objective)
        weighed, others = split_parameters(objective, self.layers)
        last = set(map(id, objective.model.last_parameters()))
        shared = objective.shared() if all(id(p) in last for p in weighed) else None
        each = self._losses(objective, shared)
        gradients = torch.autograd.grad(
            each.mean(), weighed, retain_graph=shared is not None, materialize_grads=True
        )
        detached = each.detach()
        offsets = ascent(gradients, self.rho)
        with perturbed(weighed, offsets):
            self._fill(
                objective, self._losses(objective, shared, self.labels == "hard"), weighed, others
            )
        if self.kept:
            with torch.no_grad():
                for parameter, offset in zip(weighed, offsets, strict=True):
                    parameter.add_(offset, alpha=self.kept)
        return detached

    def _losses(self, objective: Objective, shared: Tensor | None, hard: bool = False) -> Tensor:
        features = objective.features() if shared is None else objective.last(shared)
        return objective.losses_of(features, hard=hard)

    def _fill(
        self,
        objective: Objective,
        each: Tensor,
        weighed: list[nn.Parameter],
        others: list[nn.Parameter],
    ) -> None:
        _, objectives = class_objectives(each, objective.labels)
        total, total_is_mean = each.mean(), True
        if self.variability:
            # the mean is over classes of two samples and more; one sample has no deviation
            _, members = membership(objective.labels)
            spread = (members.sum(dim=1) > 1).sum().clamp(min=1)
            deviations = class_deviations(each, objective.labels) * (len(members) / spread)
            total = total + self.variability * deviations.mean()
            total_is_mean = self.in_class_gradients == "yes"
            if total_is_mean:
                objectives = objectives + self.variability * deviations
        prior: Array | None = None
        if self.prior == "log-ratio":
            prior = log_ratio_prior(objective.class_counts, objective.labels)

        def weights(gram: Array, _: Array) -> Array:
            return cagrad_direction_weights(gram, self.c, prior, rescale=self.rescale == "yes")

        batched = objective.forward.compile_mode is None
        fill(
            total,
            objectives,
            weighed,
            others,
            weights,
            total_is_mean=total_is_mean,
            batched=batched,
        )
