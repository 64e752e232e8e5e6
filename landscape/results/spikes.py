"""Hold the outlier eigenvalues and the classes they belong to, as a record and as a table.

No tensor library is imported here.
"""

from dataclasses import dataclass

import numpy as np

from landscape.results.fields import Array, axes
from landscape.results.result import Result
from landscape.results.table import Columns, numbers, percent, with_error, words

OWNED = 0.5  # share of a spike's curvature from which on it is a class's own
RESOLVED = 0.1  # sine of the angle to the eigenvector up to which a spike stands alone


@dataclass(frozen=True)
class Spikes(Result):
    """The uppermost eigenpairs of the whole Hessian, split by class; E spikes, K classes.

    H = Σ_c p_c H_c, so each eigenvalue is the sum of what the classes add, p_c uᵀ H_c u.
    """

    spike: Array = axes("spike")  # (E,) 1 is the highest
    value: Array = axes("spike")  # (E,) Rayleigh quotient of a fresh product
    residual: Array = axes("spike")  # (E,) ‖Hu - θu‖: an eigenvalue lies within it of the value
    angle: Array = axes("spike")  # (E,) bound of the sine to the eigenvector; 1: not told apart
    class_name: Array = axes("class", path="class")  # (K,) str
    training_count: Array = axes("class")  # (K,)
    samples: Array = axes("class")  # (K,) samples used
    curvature: Array = axes("spike", "class")  # (E, K) p_c uᵀ H_c u; their sum is the value
    gradient_overlap: Array = axes("spike", "class")  # (E, K) cos² with the class's gradient
    logit_overlap: Array = axes("spike", "class")  # (E, K) cos² with that of its logit, or NaN
    gradient_share: Array = axes("class")  # (K,) of ‖g_c‖², within the span of the spikes
    logit_share: Array = axes("class")  # (K,) likewise of the logit's gradient
    class_value: Array = axes("class", "spike")  # (K, E) the uppermost of H_c, or NaN
    class_residual: Array = axes("class", "spike")  # (K, E)
    subspace_overlap: Array = axes("class", "other")  # (K, K) ‖UᵀV‖²_F / k of the classes' spans
    overlap_with_whole: Array = axes("class")  # (K,) of a class's span with that of the spikes
    whole_share: Array = axes()  # () of the whole gradient's square, within the span of the spikes
    subspace_angle: Array = axes()  # () bound of the sine between the spikes' span and the true one
    chance: Array = axes()  # () k/P: overlap and share of random spans and vectors
    against: Array = axes()  # () str, the checkpoint compared with; empty for none
    against_overlap: Array = axes()  # () of the spans at both checkpoints, or NaN
    split: Array = axes()  # () str, the rule that defines head, mid and tail

    @property
    def curvature_share(self) -> Array:
        """Share of each spike that each class adds (E, K); negative where it curves down."""
        found: Array = self.curvature / np.nansum(self.curvature, axis=1, keepdims=True)
        return found

    @property
    def owner(self) -> Array:
        """The class that adds most to each spike (E,), -1 where no class adds half of it."""
        share = np.nan_to_num(self.curvature_share, nan=-np.inf)
        found: Array = np.where(share.max(axis=1) >= OWNED, share.argmax(axis=1), -1)
        return found

    @property
    def resolved(self) -> Array:
        """Whether each spike is told apart from its neighbours (E,)."""
        found: Array = np.asarray(self.angle) <= RESOLVED
        return found

    def table_columns(self) -> tuple[Columns, str]:
        """Choose the columns of the record's table, and a note."""
        share, owner = self.curvature_share, self.owner
        cells = [
            [f"λ{self.spike[e]}" for e in range(len(self.spike)) if owner[e] == c]
            for c in range(len(self.class_name))
        ]
        top = np.nanmax(np.where(np.isnan(share), -np.inf, share), axis=0, initial=-np.inf)
        columns = {
            "class": words(self.class_name),
            "train": words(self.training_count),
            "used": words(self.samples),
            "its spikes": [" ".join(cell) or "–" for cell in cells],
            "most of one": [percent(s, 0) for s in top],
            "g in span": numbers(self.gradient_share),
            "logit in span": numbers(self.logit_share),
            "own λ1": [with_error(v, r) for v, r in zip(*self._first(), strict=True)],
        }
        loose, within = int((~self.resolved).sum()), percent(float(self.whole_share), 0)
        notes = [
            f"{len(self.spike)} spikes from {self.value[0]:.4g} to {self.value[-1]:.4g}",
            f"{within} of ‖g‖² in their span (chance {self.chance:.1g})",
            f"{loose} not told apart from a neighbour" if loose else "",
        ]
        return columns, "; ".join(filter(None, notes))

    def _first(self) -> tuple[Array, Array]:
        return self.class_value[:, 0], self.class_residual[:, 0]
