"""Exact Pareto optimal search (Mahapatra & Rajan 2020) on class gradients."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from trainers.objective import Objective
from trainers.rules.class_step import Array, Layers, class_step, log_ratio_prior
from trainers.rules.gradient_weights import epo_weights


@dataclass(frozen=True)
class EPO:
    """Compute the direction towards losses in inverse proportion to a preference.

    Args:
        preference: ``prior`` prefers rare classes by log(n_max/n_c + 0.01)/2, or ``uniform``.
        layers: over which class gradients are taken.
        shared_epochs: share of the epochs in which classes are weighed.
    """

    preference: Literal["prior", "uniform"] = "prior"
    layers: Layers = "last"
    shared_epochs: float = 1.0

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad``."""

        def weights(gram: Array, values: Array) -> Array:
            wanted = np.full(len(values), 1 / len(values))
            if self.preference == "prior":
                wanted = log_ratio_prior(objective.class_counts, objective.labels)
            # from f_c to the class means L_c, which is what the preference is over
            _, counts = objective.labels.unique(return_counts=True)
            scale = len(objective.labels) / (len(counts) * counts.cpu().double().numpy())
            found = epo_weights(gram * np.outer(scale, scale), values * scale, wanted)
            return found * scale

        return class_step(objective, self.layers, weights, self.shared_epochs)
