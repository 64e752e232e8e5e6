"""ImbSAM (Zhou et al. 2023): SAM on the loss of rare classes, plain descent on the rest."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from landscape.errors import InputError
from trainers.objective import Objective
from trainers.rules.partial_sam import partial_sam
from trainers.rules.perturbation import BatchNormUpdate


@dataclass(frozen=True)
class ImbSAM:
    """Apply SAM to the loss of the rare classes.

    Args:
        rho: length of the ascent step.
        eta: classes with fewer training samples are rare.
        tail_scale: factor on their loss.
        without_rare: what follows on a batch without rare samples: nothing, or the second pass,
            which then only updates BatchNorm's running statistics.
        bn_update: which passes update BatchNorm's running statistics.
    """

    rho: float
    eta: int = 20
    tail_scale: float = 1.0
    without_rare: Literal["nothing", "pass"] = "nothing"
    bn_update: BatchNormUpdate = "both"

    def check(self, class_counts: Tensor) -> None:
        """Refuse data without rare classes.

        Raises:
            InputError: no class is rare.
        """
        if not (class_counts < self.eta).any():
            raise InputError(
                f"imbsam: no class has fewer than eta = {self.eta} training samples (the smallest "
                f"has {int(class_counts.min())}); set --settings eta=…"
            )

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad``."""
        rare = (objective.class_counts < self.eta).to(objective.labels.device)[objective.labels]
        sharp = self.tail_scale * rare.to(objective.inputs.dtype)
        each = partial_sam(
            objective, (~rare).to(sharp), sharp, self.rho, self.bn_update, sparse=True
        )
        if self.without_rare == "pass" and self.bn_update == "both" and not rare.any():
            with torch.no_grad():
                objective.features()
        return each
