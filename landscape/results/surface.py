"""Hold losses around a checkpoint, as a record and as a table.

No tensor library is imported here.
"""

from dataclasses import dataclass

import numpy as np

from landscape.results.fields import Array, axes
from landscape.results.result import Result, scope_members
from landscape.results.table import Columns, numbers


@dataclass(frozen=True)
class Surface(Result):
    """Loss around a checkpoint, w + x d_1 + y d_2, for every class; K classes."""

    x: Array = axes("x")  # (X,) steps along the first direction
    y: Array = axes("y")  # (Y,) along the second; a single 0 on a line
    loss: Array = axes("y", "x", "class")  # (Y, X, K) mean over the class's samples
    correct: Array = axes("y", "x", "class")  # (Y, X, K) counts
    done: Array = axes("y", "x")  # (Y, X) bool; loss is NaN where it is not
    class_name: Array = axes("class", path="class")  # (K,) str
    training_count: Array = axes("class")  # (K,)
    samples: Array = axes("class")  # (K,) samples used
    direction_kind: Array = axes("direction", path="directions/kind")  # (D,) str
    direction_norm: Array = axes("direction", path="directions/norm")  # (D,) Euclidean, of a step 1
    direction_cosine: Array = axes(path="directions/cosine")  # () between the two, after scaling
    normalisation: Array = axes(path="directions/normalisation")  # () filter, layer or none
    explained: Array = axes("direction", path="directions/explained")  # (D,) of PCA, else NaN
    trajectory_epoch: Array = axes("point", path="trajectory/epoch")  # (T,) epochs
    trajectory_xy: Array = axes("point", "axis", path="trajectory/xy")  # (T, 2) least squares
    trajectory_residual: Array = axes("point", path="trajectory/residual")  # (T,) norm off-plane
    mark_name: Array = axes("mark", path="marks/name")  # (M,) str, such as another run's name
    mark_xy: Array = axes("mark", "axis", path="marks/xy")  # (M, 2)
    mark_residual: Array = axes("mark", path="marks/residual")  # (M,)
    split: Array = axes()  # () str, the rule that defines head, mid and tail

    def scope_classes(self, scope: str) -> tuple[int, ...]:
        """List the classes of a scope that have samples.

        Raises:
            InputError: the scope is not known.
        """
        return scope_members(scope, self.training_count, self.samples, self.split)

    def scope_loss(self, scope: str) -> Array:
        """Average the loss of a scope (Y, X), classes weighted by their training samples."""
        members = list(self.scope_classes(scope))
        loss: Array = self.loss[:, :, members] @ self._shares(members)
        return loss

    def scope_accuracy(self, scope: str) -> Array:
        """Average the accuracy of a scope (Y, X), classes weighted by their training samples."""
        members = list(self.scope_classes(scope))
        correct: Array = (self.correct / np.maximum(self.samples, 1))[:, :, members]
        return correct @ self._shares(members)

    def table_columns(self) -> tuple[Columns, str]:
        """Choose the columns of the record's table, and a note."""
        present = [c for c in range(len(self.class_name)) if self.samples[c] > 0]
        scopes = ["overall", *(f"class/{c}" for c in present)]
        losses = [self.scope_loss(scope)[self.done] for scope in scopes]
        shares = [self.scope_accuracy(scope) for scope in scopes]
        row, column = np.abs(self.y).argmin(), np.abs(self.x).argmin()
        at_centre = [self.scope_loss(scope)[row, column] for scope in scopes]
        columns = {
            "scope": scopes,
            "loss at the centre": numbers(np.array(at_centre)),
            "least": numbers(np.array([loss.min(initial=np.inf) for loss in losses])),
            "largest": numbers(np.array([loss.max(initial=-np.inf) for loss in losses])),
            "correct there %": numbers(np.array([100 * share[row, column] for share in shares])),
        }
        kinds = " and ".join(map(str, self.direction_kind))
        return columns, f"{self.done.sum()} of {self.done.size} points; directions {kinds}"

    def _shares(self, members: list[int]) -> Array:
        shares: Array = self.training_count[members] / self.training_count[members].sum()
        return shares
