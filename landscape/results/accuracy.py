"""Hold confusion and accuracies on a test set, as a record and as a table.

No tensor library is imported here.
"""

from dataclasses import dataclass

from landscape.results.fields import Array, axes
from landscape.results.result import Result
from landscape.results.table import Columns, numbers, words


@dataclass(frozen=True)
class Accuracy(Result):
    """Confusion on the test set; K classes, C logits (K or more), G groups."""

    class_name: Array = axes("class", path="class")  # (K,) str
    training_count: Array = axes("class")  # (K,)
    confusion: Array = axes("class", "predicted")  # (K, C) counts, row is the true class
    per_class: Array = axes("class")  # (K,) share correct
    group_name: Array = axes("group_name")  # (G,) str: overall, head, mid, tail
    group: Array = axes("group_name")  # (G,) share correct of the samples, NaN for an empty group
    split: Array = axes()  # () str, the rule that defines the groups

    def by_scope(self) -> dict[str, float]:
        """List the accuracy of overall, head, mid, tail and every class; NaN for an empty group."""
        groups = zip(self.group_name, self.group, strict=True)
        shares = {str(name): float(share) for name, share in groups}
        return shares | {f"class/{c}": float(v) for c, v in enumerate(self.per_class)}

    def table_columns(self) -> tuple[Columns, str]:
        """Choose the columns of the record's table, and a note."""
        columns = {
            "class": words(self.class_name),
            "train": words(self.training_count),
            "judged": words(self.confusion.sum(axis=1)),
            "correct %": numbers(100 * self.per_class),
        }
        groups = zip(self.group_name, self.group, strict=True)
        shares = ", ".join(f"{name} {100 * share:.4g} %" for name, share in groups)
        return columns, f"{shares} (split '{self.split}')"
