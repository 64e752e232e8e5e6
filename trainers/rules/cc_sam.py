"""Class-conditional SAM (Zhou et al. 2023, Eq. 8-11).

ε_c = √k ρ_c g_c / ‖g_c‖ with ρ_c = (‖w‖ / 2‖g_c‖)^½ k^(-¼) (n_c - 1)^(-¼): the loss of class c is
taken at its own perturbation. With the classifier alone perturbed, features are computed once, and
all perturbed classifiers are one batched head. A class of a single training sample counts as one
of two, since n_c - 1 = 0 has no radius.

The paper sums class gradients; the mean is taken here, so that the learning rate keeps its meaning.
Its bound has a further term, ‖w‖ / (2 ρ_c √(n_c - 1)) of Eq. 7, which neither Algorithm 1 nor the
released code follows; ``bound`` adds its gradient at w + ε_c, with ρ_c held constant.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from landscape.weight_space.class_gradients import gradients_of
from trainers.objective import Objective
from trainers.rules.class_step import membership
from trainers.rules.perturbation import joint_norm, perturbed


def characteristic_radius(
    weight_norm: Tensor, gradient_norms: Tensor, size: int, class_counts: Tensor
) -> Tensor:
    """Return ρ_c of Eq. 8, (C,).

    Args:
        weight_norm: ‖w‖.
        gradient_norms: ‖g_c‖, (C,).
        size: k, number of parameters.
        class_counts: n_c, (C,) training samples.
    """
    samples = (class_counts.to(gradient_norms) - 1).clamp(min=1)
    return (weight_norm / (2 * gradient_norms + 1e-12)).sqrt() * (size * samples) ** -0.25


def bound_slope(radii: Tensor, counts: Tensor) -> Tensor:
    """Return 1 / (2 ρ √(n - 1)), the slope of the bound's last term by ‖w‖, (C,).

    Args:
        radii: ρ, (C,).
        counts: n, (C,) training samples.
    """
    return 1 / (2 * radii * (counts.to(radii) - 1).clamp(min=1).sqrt())


@dataclass(frozen=True)
class ClassConditionalSAM:
    """Perturb the classifier by a radius for each class.

    Args:
        scale: factor on the radius.
        most: largest ‖ε_c‖, in units of ‖w‖.
        ascent: along g_c at ρ_c; along g_c at length 1 (``direction``); at ρ_c along Gaussian noise
            (``magnitude``).
        bound: ``yes`` adds the last term of Eq. 7, over the perturbed layers.
        share: of the perturbed loss; the rest is the plain one.
        labels: of mixed images in the perturbed loss.
        reduction: mean of the class means, or of the samples.
        norms: over all perturbed parameters, or tensor by tensor.
        layers: the perturbed layers; ``all`` takes two passes a class.
    """

    scale: float = 1.0
    share: float = 1.0
    most: float = 1e9
    ascent: Literal["both", "direction", "magnitude"] = "both"
    bound: Literal["no", "yes"] = "no"
    labels: Literal["mixed", "hard"] = "mixed"
    reduction: Literal["classes", "samples"] = "classes"
    norms: Literal["joint", "tensor"] = "joint"
    layers: Literal["classifier", "all"] = "classifier"

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad``."""
        classes, members = membership(objective.labels)
        features = objective.features()
        each = objective.losses_of(features)
        counts = members.sum(dim=1)
        means = (members.to(each) @ each) / counts
        head = {n: p for n, p in objective.model.head.named_parameters() if p.requires_grad}
        parameters = objective.parameters if self.layers == "all" else list(head.values())
        gradients = gradients_of(means, parameters, batched=objective.forward.compile_mode is None)
        samples = objective.class_counts.to(classes.device)[classes]
        offsets = self._offsets(parameters, gradients, samples, objective.generator)
        shares = members.to(each) / (counts[:, None] * len(classes))
        if self.reduction == "samples":
            shares = members.to(each) / len(each)
        if self.layers == "all":
            self._pass_by_pass(objective, each, parameters, offsets, shares)
        else:
            offset = dict(zip(head, offsets, strict=True))
            logits = _perturbed_logits(objective.model.head, offset, members, features)
            risen = objective.losses_of(features, hard=self.labels == "hard", logits=logits)
            total = self.share * (shares.sum(dim=0) @ risen)
            if self.share < 1:
                total = total + (1 - self.share) * each.mean()
            total.backward()
        if self.bound == "yes":
            self._add_bound(parameters, gradients, offsets, samples, self.share * shares.sum(dim=1))
        return each.detach()

    def _offsets(
        self,
        parameters: list[nn.Parameter],
        gradients: list[Tensor],
        class_counts: Tensor,
        generator: torch.Generator,
    ) -> list[Tensor]:
        size = sum(p.numel() for p in parameters)
        weight_norm = joint_norm([p.detach() for p in parameters])
        lengths = torch.ones_like(self._norms(gradients))
        if self.ascent != "direction":
            radius = characteristic_radius(weight_norm, self._norms(gradients), size, class_counts)
            lengths = size**0.5 * radius
        along = gradients
        if self.ascent == "magnitude":
            along = [torch.empty_like(g).normal_(generator=generator) for g in gradients]
        factors = self.scale * lengths / (self._norms(along) + 1e-12)
        offsets = [_by_class(f, a) for f, a in zip(factors, along, strict=True)]
        within = (self.most * weight_norm / (_joint(offsets) + 1e-12)).clamp(max=1)
        return [_by_class(within, offset) for offset in offsets]

    def _norms(self, gradients: list[Tensor]) -> Tensor:
        """Return the norm of each class's part of each tensor, or its joint one; (T, C)."""
        each = _class_norms(gradients)
        return each if self.norms == "tensor" else _joint(gradients).expand_as(each)

    def _add_bound(
        self,
        parameters: list[nn.Parameter],
        gradients: list[Tensor],
        offsets: list[Tensor],
        class_counts: Tensor,
        shares: Tensor,
    ) -> None:
        size = sum(p.numel() for p in parameters)
        weight_norm = joint_norm([p.detach() for p in parameters])
        radius = characteristic_radius(weight_norm, _joint(gradients), size, class_counts)
        there = [p.detach() + offset for p, offset in zip(parameters, offsets, strict=True)]
        factors = shares * bound_slope(radius, class_counts) / _joint(there)
        for parameter, moved in zip(parameters, there, strict=True):
            assert parameter.grad is not None
            parameter.grad += torch.tensordot(factors, moved, dims=1)

    def _pass_by_pass(
        self,
        objective: Objective,
        each: Tensor,
        parameters: list[nn.Parameter],
        offsets: list[Tensor],
        shares: Tensor,
    ) -> None:
        if self.share < 1:
            ((1 - self.share) * each.mean()).backward()
        for c, share in enumerate(shares):
            with perturbed(parameters, [offset[c] for offset in offsets]):
                features = objective.features()
                risen = objective.losses_of(features, hard=self.labels == "hard")
                (self.share * (share @ risen)).backward()


def _class_norms(tensors: list[Tensor]) -> Tensor:
    """Return the norm of each row of each tensor (C, …); (T, C)."""
    return torch.stack([torch.linalg.vector_norm(t.flatten(1), dim=1) for t in tensors])


def _joint(tensors: list[Tensor]) -> Tensor:
    """Return the norm of each class's rows over all tensors, (C,)."""
    return torch.linalg.vector_norm(_class_norms(tensors), dim=0)


def _by_class(factors: Tensor, tensor: Tensor) -> Tensor:
    """Multiply each row of a tensor (C, …) by its factor (C,)."""
    return tensor * factors.view(-1, *[1] * (tensor.dim() - 1))


def _perturbed_logits(
    head: nn.Module, offsets: dict[str, Tensor], members: Tensor, features: Tensor
) -> Tensor:
    """Compute each sample's logits by the head as perturbed for its class; (B, K)."""
    rows = members.to(torch.uint8).argmax(dim=0)
    own = {n: p + offsets[n][rows] for n, p in head.named_parameters() if n in offsets}

    def one(parameters: dict[str, Tensor], feature: Tensor) -> Tensor:
        return functional_call(head, parameters, (feature[None],))[0]

    return vmap(one)(own, features[: len(rows)])
