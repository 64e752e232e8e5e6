"""Class-conditional SAM (Zhou et al. 2023, Eq. 8-11).

ε_c = √k ρ_c g_c / ‖g_c‖ with ρ_c = (‖w‖ / 2‖g_c‖)^½ k^(-¼) (n_c - 1)^(-¼): the loss of class c is
taken at its own perturbation. With the classifier alone perturbed, features are computed once, and
all perturbed classifiers are one batched head. A class of a single training sample counts as one
of two, since n_c - 1 = 0 has no radius.

The paper sums class gradients; the mean is taken here, so that the learning rate keeps its meaning.
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


@dataclass(frozen=True)
class ClassConditionalSAM:
    """Perturb the classifier by a radius for each class.

    Args:
        scale: factor on the radius.
        share: of the perturbed loss; the rest is the plain one.
        labels: of mixed images in the perturbed loss.
        reduction: mean of the class means, or of the samples.
        norms: over all perturbed parameters, or tensor by tensor.
        layers: the perturbed layers; ``all`` takes two passes a class.
    """

    scale: float = 1.0
    share: float = 1.0
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
        radii = objective.class_counts.to(classes.device)[classes]
        offsets = self._offsets(parameters, gradients, radii)
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
        return each.detach()

    def _offsets(
        self, parameters: list[nn.Parameter], gradients: list[Tensor], class_counts: Tensor
    ) -> list[Tensor]:
        size = sum(p.numel() for p in parameters)
        weight_norm = joint_norm([p.detach() for p in parameters])
        each = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients])
        joint = torch.linalg.vector_norm(each, dim=0).expand_as(each)
        norms = each if self.norms == "tensor" else joint
        offsets = []
        for gradient, norm in zip(gradients, norms, strict=True):
            radius = characteristic_radius(weight_norm, norm, size, class_counts)
            factor = self.scale * size**0.5 * radius / (norm + 1e-12)
            offsets.append(gradient * factor.view(-1, *[1] * (gradient.dim() - 1)))
        return offsets

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


def _perturbed_logits(
    head: nn.Module, offsets: dict[str, Tensor], members: Tensor, features: Tensor
) -> Tensor:
    """Compute each sample's logits by the head as perturbed for its class; (B, K)."""
    rows = members.to(torch.uint8).argmax(dim=0)
    own = {n: p + offsets[n][rows] for n, p in head.named_parameters() if n in offsets}

    def one(parameters: dict[str, Tensor], feature: Tensor) -> Tensor:
        return functional_call(head, parameters, (feature[None],))[0]

    return vmap(one)(own, features[: len(rows)])
