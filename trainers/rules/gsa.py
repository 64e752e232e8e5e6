"""Grouped sharpness-awareness (GKP-GSA, Eq. 11-16).

A group's ascent leaves out the direction that the head dominates: d_g = g_g - proj_g g_g on the
batch gradient g (Eq. 12; the released code takes out a running mean of gradients). Its length is
√d ρ_g with ρ_g = (‖w‖ / 2‖g_g‖)^½ d^(-¼) (n_g - 1)^(-¼), n_g the group's training samples. The
direction followed is Σ_g s_g ∇L_g(w + ε_g) with s_g the group's share of the batch, so that without
perturbation it is the batch gradient.

L_g is a group's part of the batch loss; with ``statistics`` of the group, its loss as a batch of
its own, which BatchNorm normalises by itself: each sample then passes once a phase. The last term
of Eq. 15, ‖w‖ / (2 ρ_g √(n_g - 1)), is commented out in the released code; ``bound`` adds its
gradient at w + ε_g, with ρ_g of Eq. 13 held constant.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from landscape.errors import InputError
from trainers.objective import Objective
from trainers.rules.cc_sam import bound_slope, characteristic_radius
from trainers.rules.class_step import membership
from trainers.rules.fsam import RunningMean
from trainers.rules.group_losses import Alone, GroupLosses, InBatch
from trainers.rules.perturbation import (
    BatchNormUpdate,
    ascent,
    frozen_statistics,
    joint_norm,
    perturbed,
)
from trainers.rules.sgd import SGD


@dataclass
class GroupedSAM:
    """Perturb for each group of classes along its gradient without the shared direction.

    Args:
        radius: by group (Eq. 13) or ``fixed`` at ``rho``.
        scale: factor on the radius of Eq. 13.
        rho: length of the ascent where the radius is fixed.
        least: least ρ_g.
        most: largest ρ_g, at least ``least``.
        direction: how the shared part is removed from a group's gradient; ``shared`` is that part
            along the batch gradient alone, ``plain`` removes nothing.
        decay: of the running mean.
        adaptive: ``yes`` scales the ascent with each parameter.
        passes: a perturbed pass a group, or one at the groups' mean perturbation.
        contrast: samples with which a loss that compares samples compares a group's.
        statistics: samples whose statistics BatchNorm takes for a group's loss.
        bound: ``yes`` adds the last term of Eq. 15.
        bn_update: which passes update BatchNorm's running statistics.

    Raises:
        InputError: ``least`` is above ``most``.
    """

    radius: Literal["group", "fixed"] = "group"
    scale: float = 0.01
    rho: float = 0.05
    least: float = 0.0
    most: float = 1e9
    direction: Literal["projection", "shared", "ema", "plain"] = "projection"
    decay: float = 0.9
    adaptive: Literal["no", "yes"] = "no"
    passes: Literal["groups", "one"] = "groups"
    contrast: Literal["batch", "group"] = "batch"
    statistics: Literal["batch", "group"] = "batch"
    bound: Literal["no", "yes"] = "no"
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
        if len(groups) == 1 and self._climbs_nowhere_alone:
            return SGD()(objective)
        losses: GroupLosses = (
            Alone(objective, members)
            if self.statistics == "group"
            else InBatch(objective, members, contrast_within=self.contrast == "group")
        )
        each, gradients = losses.gradients()
        shares = members.sum(dim=1).to(each) / len(each)
        samples = torch.zeros(int(of_class.max()) + 1, dtype=torch.float64).index_add_(
            0, of_class.cpu(), objective.class_counts.cpu().double()
        )
        parameters = objective.parameters
        ascents = self._ascents(
            parameters,
            gradients,
            shares,
            dict(zip(groups.tolist(), samples[groups.cpu()], strict=True)),
        )
        if self.passes == "one":
            offsets = zip(*(offset for offset, _ in ascents), strict=True)
            mean = [torch.tensordot(shares, torch.stack(offset), dims=1) for offset in offsets]
            slope = shares @ torch.stack([slope for _, slope in ascents])
            self._follow(objective, mean, slope, lambda: objective.losses().mean())
            return each
        for place, (share, (offset, slope)) in enumerate(zip(shares, ascents, strict=True)):
            self._follow(objective, offset, share * slope, partial(losses.loss, place))
        return each

    @property
    def _climbs_nowhere_alone(self) -> bool:
        """Return whether a group alone in its batch has its ascent, zero, known beforehand."""
        return (self.direction, self.bn_update, self.bound) == ("projection", "first", "no")

    def _follow(
        self, objective: Objective, offset: list[Tensor], slope: Tensor, loss: Callable[[], Tensor]
    ) -> None:
        """Add to ``p.grad`` the gradient of a loss, and of ``slope`` ‖w‖, at w + ``offset``."""
        parameters = objective.parameters
        frozen = frozen_statistics(objective.model, active=self.bn_update == "first")
        with perturbed(parameters, offset), frozen:
            loss().backward()
            if self.bound == "yes":
                there = [p.detach() for p in parameters]
                factor = slope / joint_norm(there)
                for parameter, value in zip(parameters, there, strict=True):
                    parameter.grad = factor * value + (
                        0 if parameter.grad is None else parameter.grad
                    )

    def _ascents(
        self,
        parameters: list[nn.Parameter],
        gradients: list[Tensor],
        shares: Tensor,
        samples: dict[int, Tensor],
    ) -> list[tuple[list[Tensor], Tensor]]:
        """Return, of each group present, the perturbation and the slope of the bound's last term.

        Args:
            parameters: that are perturbed.
            gradients: of the groups, (G, …) a parameter.
            shares: of the batch, (G,).
            samples: of each group in the training set.
        """
        values = [p.detach() for p in parameters]
        scales = [v.abs() for v in values] if self.adaptive == "yes" else None
        mean = [torch.tensordot(shares, g, dims=1) for g in gradients]
        size, weight_norm = sum(v.numel() for v in values), joint_norm(values)
        ascents = []
        for row, (group, count) in enumerate(samples.items()):
            own = [g[row] for g in gradients]
            direction = self._direction(own, mean, group)
            norm = joint_norm(own)
            if scales is not None:
                norm = joint_norm([s * d for s, d in zip(scales, direction, strict=True)])
            radius = characteristic_radius(weight_norm, norm, size, count)
            slope = bound_slope(radius, count)
            length: float | Tensor = self.rho
            if self.radius == "group":
                length = size**0.5 * (self.scale * radius).clamp(self.least, self.most)
            ascents.append((ascent(direction, length, scales), slope))
        return ascents

    def _direction(self, own: list[Tensor], mean: list[Tensor], group: int) -> list[Tensor]:
        if self.direction == "plain":
            return own
        if self.direction == "ema":
            return self._means.setdefault(group, RunningMean(self.decay)).without(own, 1.0)
        inner = sum((g * m).sum() for g, m in zip(own, mean, strict=True))
        length = joint_norm(mean) ** 2
        along = inner / length.clamp(min=torch.finfo(length.dtype).tiny)
        if self.direction == "shared":
            return [along * m for m in mean]
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
