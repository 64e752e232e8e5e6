"""Hold losses at perturbed parameters, as a record and as a table.

No tensor library is imported here.
"""

from dataclasses import dataclass

import numpy as np

from landscape.results.fields import Array, axes
from landscape.results.result import Result
from landscape.results.table import Columns, counted, numbers, words


@dataclass(frozen=True)
class Sharpness(Result):
    """Loss at perturbed parameters; R ratios, S scopes, K classes."""

    ratio: Array = axes("ratio")  # (R,) ‖ε‖/‖w‖
    scope: Array = axes("scope")  # (S,) str
    loss: Array = axes("ratio", "draw", "scope")  # (R, draw, S) at random ε
    start: Array = axes("scope")  # (S,) loss at w
    perturbed: Array = axes()  # () classifier or all
    radius: Array = axes()  # () ρ of the ascents
    sam_sharpness: Array = axes("scope")  # (S,) loss after one ascent step of length ρ, less start
    sam_sharpness_steps: Array = axes("scope")  # (S,) the most over several steps in the ball
    class_name: Array = axes("class", path="class")  # (K,) str
    training_count: Array = axes("class")  # (K,)
    class_loss: Array = axes("class")  # (K,) mean loss
    weighted_loss: Array = axes("class")  # (K,) times the class's frequency
    characteristic_radius: Array = axes("class")  # (K,) CC-SAM Eq. 8, of the perturbed parameters

    def table_columns(self) -> tuple[Columns, str]:
        """Choose the columns of the record's table, and a note."""
        nearest = int(np.abs(self.ratio - 0.1).argmin())
        noisy = self.loss[nearest]  # (draw, S)
        spread = noisy.std(axis=0, ddof=1) / len(noisy) ** 0.5 if len(noisy) > 1 else None
        radius = {f"class/{c}": r for c, r in enumerate(numbers(self.characteristic_radius))}
        columns = {
            "scope": words(self.scope),
            "loss": numbers(self.start),
            "rise, one step": numbers(self.sam_sharpness),
            "rise, several": numbers(self.sam_sharpness_steps),
            "ρ*": [radius.get(str(scope), "") for scope in self.scope],
            "loss under noise": numbers(noisy.mean(axis=0), spread),
        }
        note = f"ascents of length {self.radius:g} over {self.perturbed} parameters"
        return (
            columns,
            f"{note}; noise of {self.ratio[nearest]:.3g} ‖w‖, {counted(len(noisy), 'draw')}",
        )
