"""Grouped sharpness-awareness (GKP-GSA, Eq. 11-16).

A group's ascent leaves out the direction that the head dominates: d_g = g_g - proj_g g_g on the
batch gradient g (Eq. 12; the released code takes out a running mean of gradients). Its length is
√d ρ_g with ρ_g = (‖w‖ / 2‖g_g‖)^½ d^(-¼) (n_g - 1)^(-¼), n_g the group's training samples. The
direction followed is Σ_g s_g ∇L_g(w + ε_g) with s_g the group's share of the batch, so that without
perturbation it is the batch gradient.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from landscape.errors import InputError
from landscape.weight_space.class_gradients import gradients_of
from trainers.objective import Objective
from trainers.rules.cc_sam import characteristic_radius
from trainers.rules.class_step import membership
from trainers.rules.fsam import RunningMean
from trainers.rules.perturbation import (
    BatchNormUpdate,
    ascent,
    frozen_statistics,
    joint_norm,
    perturbed,
)


@dataclass
class GroupedSAM:
    """Perturb for each group of classes along its gradient without the shared direction.

    Args:
        radius: by group (Eq. 13) or ``fixed`` at ``rho``.
        scale: factor on the radius of Eq. 13.
        rho: length of the ascent where the radius is fixed.
        least: least ρ_g.
        most: largest ρ_g, at least ``least``.
        direction: how the shared part is removed from a group's gradient.
        decay: of the running mean.
        adaptive: ``yes`` scales the ascent with each parameter.
        passes: a perturbed pass a group, or one at the groups' mean perturbation.
        bn_update: which passes update BatchNorm's running statistics.

    Raises:
        InputError: ``least`` is above ``most``.
    """

    radius: Literal["group", "fixed"] = "group"
    scale: float = 0.01
    rho: float = 0.05
    least: float = 0.0
    most: float = 1e9
    direction: Literal["projection", "ema", "plain"] = "projection"
    decay: float = 0.9
    adaptive: Literal["no", "yes"] = "no"
    passes: Literal["groups", "one"] = "groups"
    bn_update: BatchNormUpdate = "first"

    def __post_init__(self) -> None:
        if self.least > self.most:
            raise InputError(
                f"gsa: least = {self.least:g} is above most = {self.most:g}; give "
                "--settings in which least is the smaller one"
            )
        self._means: dict[int, RunningMean] = {}

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad``."""
        assert objective.groups is not None
        of_class = objective.groups.to(objective.labels.device)
        groups, members = membership(of_class[objective.labels])
        parameters = objective.parameters
        each = objective.losses()
        counts = members.sum(dim=1)
        shares = counts.to(each) / len(each)
        gradients = gradients_of(
            (members.to(each) @ each) / counts,
            parameters,
            batched=objective.forward.compile_mode is None,
        )
        detached = each.detach()
        del each
        samples = torch.zeros(int(of_class.max()) + 1).index_add_(
            0, of_class.cpu(), objective.class_counts.cpu().float()
        )
        offsets = self._offsets(parameters, gradients, shares, samples, groups.tolist())
        if self.passes == "one":
            mean = [torch.tensordot(shares, torch.stack(o), 1) for o in zip(*offsets, strict=True)]
            self._follow(objective, parameters, mean, shares.sum() * torch.ones_like(detached))
        else:
            for offset, member in zip(offsets, members, strict=True):
                self._follow(objective, parameters, offset, member.to(detached))
        return detached

    def _follow(
        self,
        objective: Objective,
        parameters: list[nn.Parameter],
        offset: list[Tensor],
        weights: Tensor,
    ) -> None:
        frozen = frozen_statistics(objective.model, active=self.bn_update == "first")
        with perturbed(parameters, offset), frozen:
            (weights * objective.losses()).mean().backward()

    def _offsets(
        self,
        parameters: list[nn.Parameter],
        gradients: list[Tensor],
        shares: Tensor,
        samples: Tensor,
        groups: list[int],
    ) -> list[list[Tensor]]:
        """Return the perturbation of each group present, one tensor a parameter."""
        values = [p.detach() for p in parameters]
        scales = [v.abs() for v in values] if self.adaptive == "yes" else None
        mean = [torch.tensordot(shares, g, dims=1) for g in gradients]
        size, weight_norm = sum(v.numel() for v in values), joint_norm(values)
        offsets = []
        for row, group in enumerate(groups):
            own = [g[row] for g in gradients]
            direction = self._direction(own, mean, group)
            length: float | Tensor = self.rho
            if self.radius == "group":
                scaled = (
                    own
                    if scales is None
                    else [s * g for s, g in zip(scales, direction, strict=True)]
                )
                radius = self.scale * characteristic_radius(
                    weight_norm, joint_norm(scaled), size, samples[group]
                )
                length = size**0.5 * radius.clamp(self.least, self.most)
            offsets.append(ascent(direction, length, scales))
        return offsets

    def _direction(self, own: list[Tensor], mean: list[Tensor], group: int) -> list[Tensor]:
        if self.direction == "plain":
            return own
        if self.direction == "ema":
            return self._means.setdefault(group, RunningMean(self.decay)).without(own, 1.0)
        inner = sum((g * m).sum() for g, m in zip(own, mean, strict=True))
        length = joint_norm(mean) ** 2
        along = inner / length.clamp(min=torch.finfo(length.dtype).tiny)
        rest = [g - along * m for g, m in zip(own, mean, strict=True)]
        # a group alone in its batch has nothing of its own, and rounding is no direction
        left = (joint_norm(rest) > 1e-4 * joint_norm(own)).to(length)
        return [left * r for r in rest]

    def state(self) -> dict[str, Any]:
        """Return the running means, by group."""
        return {"means": {group: mean.values for group, mean in self._means.items()}}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore running means."""
        self._means = {g: RunningMean(self.decay, v) for g, v in state["means"].items()}
