"""Hold the loss between two checkpoints, as a record and as a table.

No tensor library is imported here.
"""

from dataclasses import dataclass

from landscape.results.fields import Array, axes
from landscape.results.result import Result, scope_members
from landscape.results.shares import said_of_shares, shares_within, unknown_shares
from landscape.results.table import Columns, numbers, with_error, words


@dataclass(frozen=True)
class Path(Result):
    """Losses along paths between two checkpoints; J paths of T points, K classes, S scopes.

    The barrier of a scope is the most by which its loss exceeds the line between the losses of both
    ends (Entezari et al. 2022); it is 0 where it nowhere does.
    """

    path: Array = axes("path")  # (J,) str: line, aligned, curve
    t: Array = axes("t")  # (T,) from 0 to 1
    loss: Array = axes("path", "t", "class")  # (J, T, K) mean; NaN without samples
    correct: Array = axes("path", "t", "class")  # (J, T, K) samples
    class_name: Array = axes("class", path="class")  # (K,) str
    training_count: Array = axes("class")  # (K,)
    samples: Array = axes("class")  # (K,) samples judged
    share: Array = axes("class")  # (K,) of the class in the mean loss; NaN in older files
    frequency: Array = axes("class")  # (K,) of the class among the samples, likewise
    scope: Array = axes("scope")  # (S,) str: overall, the groups, the classes
    barrier: Array = axes("path", "scope")  # (J, S)
    barrier_sem: Array = axes("path", "scope")  # (J, S) over samples, at the barrier's top
    barrier_at: Array = axes("path", "scope")  # (J, S) t of the top
    accuracy_drop: Array = axes("path", "scope")  # (J, S) the same of 1 - accuracy
    accuracy_drop_sem: Array = axes("path", "scope")  # (J, S)
    distance: Array = axes("path")  # (J,) ‖B - A‖
    to: Array = axes()  # () str, the other end
    align: Array = axes()  # () str: how units were matched
    moved: Array = axes()  # () units that stand elsewhere after alignment
    units: Array = axes()  # () that can be moved
    split: Array = axes()  # () str, the rule that defines head, mid and tail

    @classmethod
    def completed(cls, arrays: dict[str, Array]) -> dict[str, Array]:
        """Add the shares, unknown, to files that do not hold them."""
        return unknown_shares(len(arrays.get("samples", ()))) | arrays

    def scope_curve(self, path: int, scope: str) -> tuple[Array, Array]:
        """Compute the loss and the accuracy of a scope along a path, (T,) each.

        Args:
            path: its position.
            scope: its name.
        """
        own = list(scope_members(scope, self.training_count, self.samples, self.split))
        by_share, by_frequency = (
            shares_within(own, shares, self.training_count)
            for shares in (self.share, self.frequency)
        )
        accuracy = self.correct[path][:, own] / self.samples[own]
        return self.loss[path][:, own] @ by_share, accuracy @ by_frequency

    def table_columns(self) -> tuple[Columns, str]:
        """Choose the columns of the record's table, and a note."""
        columns: dict[str, list[str]] = {"scope": words(self.scope)}
        for j, path in enumerate(self.path):
            pairs = zip(self.barrier[j], self.barrier_sem[j], strict=True)
            columns[f"barrier, {path}"] = [with_error(*pair) for pair in pairs]
        columns["its t"] = numbers(self.barrier_at[-1])
        drops = zip(100 * self.accuracy_drop[-1], 100 * self.accuracy_drop_sem[-1], strict=True)
        columns["accuracy drop, %"] = [with_error(*pair) for pair in drops]
        moved = "" if str(self.align) == "none" else f", {self.moved} of {self.units} units moved"
        apart = zip(self.path, numbers(self.distance), strict=True)
        far = ", ".join(f"{length} ({name})" for name, length in apart)
        note = f"to {self.to}, ‖B − A‖ {far}{moved}"
        return columns, f"{note}; ± over samples{said_of_shares(self.share)}"
