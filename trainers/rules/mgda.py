"""Multiple-gradient descent (Désidéri 2012; Sener & Koltun 2018).

The direction is the shortest vector of the convex hull of the class gradients; it conflicts with
none of them, whatever their norms.
"""

from dataclasses import dataclass

from torch import Tensor

from trainers.objective import Objective
from trainers.rules.class_step import Layers, class_step
from trainers.rules.gradient_weights import min_norm_weights


@dataclass(frozen=True)
class MGDA:
    """Compute the min-norm combination of class gradients.

    Args:
        layers: over which class gradients are taken.
        shared_epochs: share of the epochs in which classes are weighed.
    """

    layers: Layers = "last"
    shared_epochs: float = 1.0

    def __call__(self, objective: Objective) -> Tensor:
        """Fill ``p.grad``."""
        return class_step(
            objective, self.layers, lambda gram, _: min_norm_weights(gram), self.shared_epochs
        )
