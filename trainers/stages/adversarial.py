"""CC-SAM's second stage (Zhou et al. 2023, Eq. 12-14): a classifier robust to adversarial features.

z' = z + λ ∇_z L / ‖∇_z L‖ and L = (1 - t/T) CE(h(z)) + (t/T) CE(h(z')). Eq. 12 leaves open over
what its norm is: here the whole batch, or each sample, whose own step then has length λ. The
released code takes the norm class by class, scales λ and the adversarial loss by
v_c = log(n_max/n_c + 0.01) / 2, starts at t = 1 and limits the share.
"""

from dataclasses import dataclass
from typing import Literal, Unpack

import torch
from torch import Tensor

from trainers.config import Plan
from trainers.objective import Objective
from trainers.rules.class_step import membership
from trainers.stages.stage import SecondStage, Stage, two_stages


@dataclass(frozen=True)
class AdversarialFeatures:
    """Train the classifier on features moved towards a larger loss.

    Args:
        strength: λ, length of the step.
        norm: of the gradient, over the ``batch`` or each ``sample``.
        class_scaled: ``yes``: class by class, scaled by v_c.
        limit: largest share of the adversarial loss.
    """

    strength: float = 1.0
    norm: Literal["batch", "sample"] = "batch"
    class_scaled: Literal["no", "yes"] = "no"
    limit: float = 1.0

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad`` of the classifier."""
        features = objective.features().detach().requires_grad_()
        each = objective.losses_of(features)
        share = min((objective.epoch + 1) / objective.epochs, self.limit)
        if self.class_scaled == "no":
            share = min(objective.progress, self.limit)
        total = (1 - share) * each.mean()
        if share:
            moved, weights = self._moved(objective, features, each)
            total = total + share * (weights * objective.losses_of(moved)).mean()
        total.backward(inputs=objective.parameters)
        return each.detach()

    def _moved(self, objective: Objective, features: Tensor, each: Tensor) -> tuple[Tensor, Tensor]:
        """Return adversarial features (B, D) and the weights (B,) of their losses."""
        if self.class_scaled == "no":
            (slope,) = torch.autograd.grad(each.mean(), features, retain_graph=True)
            over = None if self.norm == "batch" else 1
            length = torch.linalg.vector_norm(slope, dim=over, keepdim=over is not None)
            step = slope / (length + 1e-12)
            return (features + self.strength * step).detach(), torch.ones_like(each)
        (slope,) = torch.autograd.grad(each.sum(), features, retain_graph=True)
        _, members = membership(objective.labels)
        norms = torch.linalg.vector_norm(slope, dim=1)
        of_class = (members.to(norms) @ norms**2).sqrt()
        each_norm = members.to(norms).T @ of_class
        counts = objective.class_counts.to(norms)
        scale = (counts.max() / counts + 0.01).log()[objective.labels] / 2
        step = slope * (self.strength * scale / (each_norm + 1e-12))[:, None]
        return (features + step).detach(), scale


def adversarial(
    plan: Plan,
    *,
    strength: float,
    norm: Literal["batch", "sample"],
    class_scaled: Literal["no", "yes"],
    limit: float,
    **second: Unpack[SecondStage],
) -> tuple[Stage, ...]:
    """Train the network, then a robust classifier.

    Args:
        plan: of the run.
        strength: λ of the adversarial step.
        norm: over which its gradient is normalised.
        class_scaled: whether classes scale it.
        limit: largest share of the adversarial loss.
        second: its rate is constant.
    """
    return two_stages(plan, AdversarialFeatures(strength, norm, class_scaled, limit), **second)
