"""τ-normalisation (Kang et al. 2020): the classifier's weights become w_c / ‖w_c‖^τ.

Nothing is trained after the first stage: one more epoch judges the classifier, its bias dropped.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landscape.errors import InputError
from trainers.config import Plan
from trainers.models.network import Network
from trainers.objective import Objective
from trainers.stages.stage import Stage, Start, two_stages


@dataclass(frozen=True)
class Normalise:
    """Divide each class's weight by a power of its norm, and drop the bias.

    Args:
        tau: the power τ; 0 keeps the weights, 1 gives them one norm.
    """

    tau: float

    def __call__(self, model: Network) -> None:
        """Change the network's linear classifier."""
        assert isinstance(model.head, nn.Linear)
        with torch.no_grad():
            norms = torch.linalg.vector_norm(model.head.weight, dim=1, keepdim=True)
            model.head.weight.div_(norms**self.tau)
            model.head.bias.zero_()


@dataclass(frozen=True)
class Judge:
    """Compute the losses and no gradient."""

    def __call__(self, objective: Objective) -> Tensor:
        """Return the losses (B,)."""
        with torch.no_grad():
            return objective.losses()


def tau_norm(plan: Plan, *, tau: float, start: Start) -> tuple[Stage, ...]:
    """Train the network, then normalise its classifier.

    Args:
        plan: of the run.
        tau: the power of the norm.
        start: epoch of the first stage whose classifier is normalised.

    Raises:
        InputError: the classifier is a cosine one, whose weights have no norm.
    """
    if plan.cosine_scale is not None:
        raise InputError(
            f"'{plan.method}' trains a cosine classifier, whose weights are normalised already; "
            "leave -tau out"
        )
    return two_stages(
        plan,
        Judge(),
        stage_epochs=0,
        stage_lr=1,
        sampler="instance",
        start=start,
        statistics="frozen",
        prepare=Normalise(tau),
    )
