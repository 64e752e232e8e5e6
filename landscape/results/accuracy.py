"""Hold confusion, accuracies, calibration and open-set counts on data judged, and their table.

No tensor library is imported here.
"""

from dataclasses import dataclass

import numpy as np

from landscape.results.fields import Array, axes
from landscape.results.provenance import Provenance
from landscape.results.result import Result
from landscape.results.table import Columns, numbers, words

OPEN_COUNTS = ("right", "wrong", "rejected", "accepted")


@dataclass(frozen=True)
class Accuracy(Result):
    """Confusion on the data judged; K classes, C logits (K or more), G groups."""

    class_name: Array = axes("class", path="class")  # (K,) str
    training_count: Array = axes("class")  # (K,)
    confusion: Array = axes("class", "predicted")  # (K, C) counts, row is the true class
    per_class: Array = axes("class")  # (K,) share correct
    group_name: Array = axes("group_name")  # (G,) str: overall, head, mid, tail
    group: Array = axes("group_name")  # (G,) share correct of the samples, NaN for an empty group
    ece: Array = axes("group_name")  # (G,) expected calibration error, NaN for an empty group
    split: Array = axes()  # () str, the rule that defines the groups
    # (4,) right, wrong and rejected samples of the test set, accepted ones of unknown classes; NaN
    # without an open set
    open_set: Array = axes("open_count")

    @classmethod
    def completed(cls, arrays: dict[str, Array]) -> dict[str, Array]:
        """Add calibration and open set, unknown, to files that do not hold them."""
        groups = np.full(len(arrays.get("group_name", ())), np.nan)
        return {"ece": groups, "open_set": np.full(len(OPEN_COUNTS), np.nan)} | arrays

    @property
    def worst(self) -> float:
        """Share correct of the worst class; NaN without samples."""
        known = self.per_class[~np.isnan(self.per_class)]
        return float(known.min()) if len(known) else float("nan")

    def judged_on(self, origin: Provenance | None = None) -> str:
        """Name the data judged: ``test``, or ``training`` where there was no test set.

        A diagnosis states it. Without, samples of a model trained elsewhere are of the training if
        they are as many in every class.

        Args:
            origin: of the record, where it does not hold it itself.
        """
        source = origin or self.provenance
        config = {} if source is None else source.config
        elsewhere = config.get("plan", {}).get("seed", 0) is None
        alike = np.array_equal(self.confusion.sum(axis=1), self.training_count)
        return str(config.get("judged", "training" if elsewhere and alike else "test"))

    @property
    def f_measure(self) -> float:
        """2PR/(P + R) with P = right/(right + wrong), R = right/(right + accepted).

        As the released classifier-balancing code (Kang et al. 2020) counts; NaN without an open
        set.
        """
        right, wrong, _, accepted = (float(count) for count in self.open_set)
        return _harmonic(right, wrong, accepted)

    @property
    def f_measure_oltr(self) -> float:
        """The same with rejected samples of known classes among the wrong ones.

        As the released OLTR code (Liu et al. 2019) counts.
        """
        right, wrong, rejected, accepted = (float(count) for count in self.open_set)
        return _harmonic(right, wrong + rejected, accepted)

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
        known = [f"{name} {100 * share:.4g} %" for name, share in groups if not np.isnan(share)]
        said = [f"{', '.join(known)} (split '{self.split}')", self.further()]
        on = "on training data: " if self.judged_on() == "training" else ""
        return columns, on + "; ".join(filter(None, said))

    def further(self) -> str:
        """Say the worst class, the calibration and, with an open set, the F-measure."""
        found = [] if np.isnan(self.worst) else [f"worst class {100 * self.worst:.4g} %"]
        if not np.isnan(self.ece[0]):
            found.append(f"ECE {100 * float(self.ece[0]):.4g} %")
        if not np.isnan(self.open_set).any():
            found.append(
                f"open-set F-measure {self.f_measure:.4g} ({self.f_measure_oltr:.4g} as OLTR)"
            )
        return ", ".join(found)


def _harmonic(right: float, wrong: float, missed: float) -> float:
    total = 2 * right + wrong + missed
    return 2 * right / total if total else float("nan")
