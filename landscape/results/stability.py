"""Hold how near a training is to the edge of stability, as a record and as a table.

No tensor library is imported here.
"""

from dataclasses import dataclass

import numpy as np

from landscape.results.fields import Array, axes
from landscape.results.result import Result
from landscape.results.table import Columns, bracket, numbers, words


@dataclass(frozen=True)
class Stability(Result):
    """Curvature of each scope against the training's step; S scopes.

    A bracket (S, 2) holds an eigenvalue as that of a spectrum does: one side is proved, the other
    holds with 99 %.
    """

    scope: Array = axes("scope")  # (S,) str
    training_count: Array = axes("scope")  # (S,)
    samples: Array = axes("scope")  # (S,) samples used
    loss: Array = axes("scope")  # (S,)
    grad_norm: Array = axes("scope")  # (S,)
    lambda_max: Array = axes("scope")  # (S,) Rayleigh quotient
    lambda_max_bracket: Array = axes("scope", "bracket")  # (S, 2)
    lambda_min: Array = axes("scope")  # (S,)
    lambda_min_bracket: Array = axes("scope", "bracket")  # (S, 2)
    gradient_top: Array = axes("scope")  # (S,) cos² with the whole Hessian's highest vector
    gradient_lowest: Array = axes("scope")  # (S,) cos² with its lowest
    step_top: Array = axes()  # () cos² of the way to the next checkpoint with the highest vector
    step_lowest: Array = axes()  # () and with the lowest; NaN without a next checkpoint
    chance: Array = axes()  # () 1/P: cos² of random vectors
    next: Array = axes()  # () str, the next checkpoint; empty for none
    learning_rate: Array = axes()  # () η, NaN where it is not known
    momentum: Array = axes()  # () β
    weight_decay: Array = axes()  # () of the training's L2 penalty, which λmax is raised by
    rho: Array = axes()  # () SAM's radius, NaN for a training without it
    whole_grad_norm: Array = axes()  # () ‖g‖ of all samples, by which SAM's ascent is scaled

    @property
    def threshold(self) -> float:
        """Curvature 2 (1 + β) / η above which gradient descent with momentum is not stable."""
        return float(2 * (1 + self.momentum) / self.learning_rate)

    @property
    def sam_threshold(self) -> float:
        """The same with SAM: λ + ρ λ²/‖g‖ = 2 (1 + β) / η (Long and Bartlett 2024); or NaN."""
        if not self.rho > 0:
            return float("nan")
        scaled = float(self.whole_grad_norm / (2 * self.rho))
        return scaled * (float(np.sqrt(1 + 2 * self.threshold / scaled)) - 1) if scaled else 0.0

    @property
    def edge(self) -> Array:
        """Sharpness over the threshold (S,): above 1 a step of the training overshoots."""
        found: Array = (self.lambda_max + self.weight_decay) / self.threshold
        return found

    @property
    def edge_bracket(self) -> Array:
        """Bracket of the sharpness over the threshold (S, 2)."""
        found: Array = (self.lambda_max_bracket + self.weight_decay) / self.threshold
        return found

    @property
    def escape(self) -> Array:
        """ρ |λmin| / ‖g‖ (S,), 0 where λmin ≥ 0: above 1 SAM's flow is drawn to the saddle."""
        found: Array = self.rho * np.maximum(-self.lambda_min, 0) / self.whole_grad_norm
        return found

    @property
    def escape_bracket(self) -> Array:
        """Bracket of that number (S, 2)."""
        down = np.maximum(-self.lambda_min_bracket[:, ::-1], 0)
        found: Array = self.rho * down / self.whole_grad_norm
        return found

    def table_columns(self) -> tuple[Columns, str]:
        """Choose the columns of the record's table, and a note."""
        columns: dict[str, list[str]] = {
            "scope": words(self.scope),
            "used": words(self.samples),
            "λmax": [bracket(*pair) for pair in self.lambda_max_bracket],
            "λmin": [bracket(*pair) for pair in self.lambda_min_bracket],
            "λmax / edge": [bracket(*pair) for pair in self.edge_bracket],
        }
        if self.rho > 0:
            columns["λmax / SAM's"] = numbers(self.lambda_max / self.sam_threshold)
            columns["ρ|λmin|/‖g‖"] = [bracket(*pair) for pair in self.escape_bracket]
        columns["g to top, cos²"] = numbers(self.gradient_top)
        columns["g to lowest, cos²"] = numbers(self.gradient_lowest)
        edge = (
            f"edge 2(1 + β)/η = {self.threshold:.4g}"
            if np.isfinite(self.threshold)
            else ("no learning rate is known, so no edge")
        )
        step = (
            f"; step to {self.next}: cos² {self.step_top:.2g} to top, {self.step_lowest:.2g} to "
            f"lowest (chance {self.chance:.1g})"
        )
        return columns, edge + (step if str(self.next) else "")
