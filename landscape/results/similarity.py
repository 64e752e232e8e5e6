"""Hold the similarity of the classes' representations, as a record and as a table.

No tensor library is imported here.
"""

from dataclasses import dataclass

import numpy as np

from landscape.results.fields import Array, axes
from landscape.results.result import Result
from landscape.results.table import Columns, counted, numbers, words


@dataclass(frozen=True)
class Similarity(Result):
    """Similarity of classes' representations; M measures, K classes."""

    measure: Array = axes("measure")  # (M,) str: cca, svcca, pwcca, cka
    class_name: Array = axes("class", path="class")  # (K,) str
    training_count: Array = axes("class")  # (K,)
    score: Array = axes("measure", "class", "other")  # (M, K, K) mean over draws; row the side of X
    shuffled_baseline: Array = axes("measure", "class", "other")  # (M, K, K) rows of one shuffled
    head_tail: Array = axes("measure")  # (M,) head samples against tail samples
    head_tail_sem: Array = axes("measure")  # (M,) over draws
    head_tail_baseline: Array = axes("measure")  # (M,)
    rows: Array = axes()  # () samples a side of a draw, n
    dimension: Array = axes()  # () d
    draws: Array = axes()  # ()
    paired: Array = axes()  # () how rows are matched: class-balanced draws, or checkpoint NAME

    def table_columns(self) -> tuple[Columns, str]:
        """Choose the columns of the record's table, and a note."""
        off = ~np.eye(len(self.class_name), dtype=bool)
        chosen = off if str(self.paired) == "class-balanced draws" else ~off
        present = chosen & ~np.isnan(self.score).all(axis=0)
        columns = {
            "measure": words(self.measure),
            "head against tail": numbers(self.head_tail, self.head_tail_sem),
            "shuffled": numbers(self.head_tail_baseline),
            "classes, mean": numbers(self.score[:, present].mean(axis=1)),
            "classes shuffled": numbers(self.shuffled_baseline[:, present].mean(axis=1)),
        }
        note = f"n = {self.rows} rows a side, d = {self.dimension} dimensions"
        return columns, f"{note}, {counted(self.draws, 'draw')}, matched by {self.paired}"
