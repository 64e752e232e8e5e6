"""Hold losses around a checkpoint, as a record and as a table.

No tensor library is imported here.
"""

from dataclasses import dataclass, replace
from typing import Self, cast

import numpy as np

from landscape.groups import GROUPS, SplitName, scope_classes
from landscape.results.basin import Basin, Grid
from landscape.results.fields import Array, axes
from landscape.results.result import Result, scope_members
from landscape.results.shares import said_of_shares, shares_within, unknown_shares
from landscape.results.table import Columns, numbers


@dataclass(frozen=True)
class Surface(Result):
    """Loss around a checkpoint, w + x d_1 + y d_2, for every class; K classes."""

    x: Array = axes("x")  # (X,) steps along the first direction
    y: Array = axes("y")  # (Y,) along the second; a single 0 on a line
    loss: Array = axes("y", "x", "class")  # (Y, X, K) mean over the class's samples
    correct: Array = axes("y", "x", "class")  # (Y, X, K) counts
    objective: Array = axes("y", "x", "class")  # (Y, X, K) what training descends; NaN if unknown
    objective_name: Array = axes()  # () str, such as ldam-drw; empty if unknown
    done: Array = axes("y", "x")  # (Y, X) bool; loss is NaN where it is not
    complete: Array = axes()  # () bool, whether all points asked for are done
    class_name: Array = axes("class", path="class")  # (K,) str
    training_count: Array = axes("class")  # (K,)
    samples: Array = axes("class")  # (K,) samples used
    share: Array = axes("class")  # (K,) of the class in the mean loss; NaN in older files
    frequency: Array = axes("class")  # (K,) of the class among the samples, likewise
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
    scope: Array = axes("scope")  # (S,) str, of the basins: overall, groups and classes
    basin_minimum: Array = axes("scope", path="basin/minimum")  # (S,) least loss computed
    basin_at: Array = axes("scope", "axis", path="basin/at")  # (S, 2) steps to it
    basin_distance: Array = axes("scope", path="basin/distance")  # (S,) Euclidean, to it
    basin_share: Array = axes("scope", path="basin/share")  # (S,) of the plane, below 2 minimum
    basin_bracket: Array = axes("scope", "bound", path="basin/bracket")  # (S, 2) of the share
    basin_cut: Array = axes("scope", path="basin/cut")  # (S,) bool, reaches the plane's edge

    @classmethod
    def completed(cls, arrays: dict[str, Array]) -> dict[str, Array]:
        """Add what files of older versions lack, the basins from their losses."""
        if not {"loss", "done", "samples", "training_count", "split"} <= arrays.keys():
            return arrays
        found = {
            "objective": np.full_like(arrays["loss"], np.nan),
            "objective_name": np.array(""),
            "complete": np.array(arrays["done"].all()),
            **unknown_shares(len(arrays["samples"])),
            **_fields({scope: Basin() for scope in _scopes(arrays)}),
        }
        if "basin_share" in arrays or not arrays["done"].all():
            return found | arrays
        try:
            return vars(cls(**(found | arrays)).with_basins())
        except TypeError:  # it lacks more, which is said where it is read
            return found | arrays

    def with_basins(self) -> Self:
        """Find the basin of every scope, all points that were asked for being done."""
        found = {scope: self.basin(scope) for scope in map(str, self.scope)}
        return replace(self, complete=np.array(True), **_fields(found))

    def basin(self, scope: str, quantity: str = "loss") -> Basin:
        """Find the least value of a scope's loss or objective, and the share of the plane near it.

        Args:
            scope: such as ``tail`` or ``class/3``.
            quantity: ``loss`` or ``objective``.
        """
        values = self.scope_loss(scope) if quantity == "loss" else self.scope_objective(scope)
        return Grid(self.x, self.y, self.done, self.length).basin(values)

    def length(self, x: float, y: float = 0.0) -> float:
        """Euclidean length, in the parameters, of a step (x, y)."""
        sides = np.array([x, y])[: len(self.direction_norm)] * self.direction_norm
        crossed = 0.0 if len(sides) == 1 else 2 * sides.prod() * float(self.direction_cosine)
        return float(np.sqrt(max((sides**2).sum() + crossed, 0.0)))

    def scope_classes(self, scope: str) -> tuple[int, ...]:
        """List the classes of a scope that have samples.

        Raises:
            InputError: the scope is not known.
        """
        return scope_members(scope, self.training_count, self.samples, self.split)

    def scope_loss(self, scope: str) -> Array:
        """Average the loss of a scope (Y, X), classes weighted by their shares in the mean."""
        members = list(self.scope_classes(scope))
        loss: Array = self.loss[:, :, members] @ self._within(members, self.share)
        return loss

    def scope_objective(self, scope: str) -> Array:
        """Average the trained objective of a scope (Y, X), classes as frequent as in training.

        NaN where it is unknown.
        """
        members = list(self.scope_classes(scope))
        counts = self.training_count
        objective: Array = self.objective[:, :, members] @ self._within(members, counts)
        return objective

    def scope_accuracy(self, scope: str) -> Array:
        """Average the accuracy of a scope (Y, X), classes as frequent as among the samples."""
        members = list(self.scope_classes(scope))
        correct: Array = (self.correct / np.maximum(self.samples, 1))[:, :, members]
        return correct @ self._within(members, self.frequency)

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
            "at distance": numbers(self._of_scopes(self.basin_distance, scopes)),
            "largest": numbers(np.array([loss.max(initial=-np.inf) for loss in losses])),
            "basin %": numbers(100 * self._of_scopes(self.basin_share, scopes)),
            "correct there %": numbers(np.array([100 * share[row, column] for share in shares])),
        }
        if str(self.objective_name):
            trained = [self.scope_objective(scope)[row, column] for scope in scopes]
            columns["objective there"] = numbers(np.array(trained))
        kinds = " and ".join(map(str, self.direction_kind))
        note = f"{self.done.sum()} of {self.done.size} points; directions {kinds}"
        return columns, note + said_of_shares(self.share)

    def _of_scopes(self, values: Array, scopes: list[str]) -> Array:
        known = dict(zip(map(str, self.scope), values, strict=True))
        return np.array([known.get(scope, np.nan) for scope in scopes])

    def _within(self, members: list[int], shares: Array) -> Array:
        return shares_within(members, shares, self.training_count)


def _scopes(arrays: dict[str, Array]) -> list[str]:
    """List the whole, the groups and the classes, as far as they have samples."""
    counts, rule = [int(n) for n in arrays["training_count"]], cast(SplitName, str(arrays["split"]))
    named = scope_classes(("overall", *GROUPS, "classes"), counts, rule)
    return [scope for scope, own in named.items() if arrays["samples"][list(own)].any()]


def _fields(basins: dict[str, Basin]) -> dict[str, Array]:
    found = list(basins.values())
    return {
        "scope": np.array(list(basins), dtype=str),
        "basin_minimum": np.array([b.minimum for b in found]),
        "basin_at": np.array([b.at for b in found]).reshape(-1, 2),
        "basin_distance": np.array([b.distance for b in found]),
        "basin_share": np.array([b.share for b in found]),
        "basin_bracket": np.array([b.bracket for b in found]).reshape(-1, 2),
        "basin_cut": np.array([b.cut for b in found], dtype=bool),
    }
