"""Hold gradients of the classes, as a record and as a table.

No tensor library is imported here.
"""

from dataclasses import dataclass

import numpy as np

from landscape.results.fields import Array, axes
from landscape.results.result import Result
from landscape.results.shares import said_of_shares
from landscape.results.table import Columns, counted, numbers, words


@dataclass(frozen=True)
class Gradients(Result):
    """Gradients of the classes' mean losses; K classes, L groups of layers."""

    class_name: Array = axes("class", path="class")  # (K,) str
    training_count: Array = axes("class")  # (K,)
    samples: Array = axes("class")  # (K,) samples used
    share: Array = axes("class")  # (K,) of the class in their mean loss; NaN in older files
    loss: Array = axes("class")  # (K,) mean loss
    similarity: Array = axes("class", "other")  # (K, K) cosine; NaN for a class without samples
    similarity_std: Array = axes("class", "other")  # (K, K) over mini-batches; NaN for all data
    similarity_to_mean: Array = axes("class")  # (K,) cosine with the average over classes
    similarity_to_unit_mean: Array = axes("class")  # (K,) the same with gradients of unit length
    similarity_to_batch: Array = axes("class")  # (K,) cosine with the gradient of all samples
    similarity_to_direction: Array = axes("class")  # (K,) with what the rule follows, or NaN
    norm: Array = axes("class")  # (K,) Euclidean
    norm_ratio: Array = axes("class")  # (K,) to the average over classes
    conflicts: Array = axes()  # () pairs with a negative cosine
    dominated: Array = axes()  # () pairs whose smaller one opposes the average over classes
    dominated_unit: Array = axes()  # () the same by the average of gradients of unit length
    pairs: Array = axes()  # () pairs compared
    batches: Array = axes()  # () mini-batches averaged over; 1 for all data
    mode: Array = axes()  # () eval or train
    layer: Array = axes("layer", path="layers/name")  # (L,) str
    layer_similarity: Array = axes("layer", "class", "other", path="layers/similarity")
    layer_norm: Array = axes("layer", "class", path="layers/norm")
    layer_similarity_to_mean: Array = axes("layer", "class", path="layers/similarity_to_mean")

    @classmethod
    def completed(cls, arrays: dict[str, Array]) -> dict[str, Array]:
        """Add the shares, unknown, to files that do not hold them."""
        return {"share": np.full(len(arrays.get("samples", ())), np.nan)} | arrays

    def table_columns(self) -> tuple[Columns, str]:
        """Choose the columns of the record's table, and a note."""
        columns = {
            "class": words(self.class_name),
            "train": words(self.training_count),
            "used": words(self.samples),
            "loss": numbers(self.loss),
            "‖g‖": numbers(self.norm),
            "‖g‖/‖g_mean‖": numbers(self.norm_ratio),
            "cos to mean": numbers(self.similarity_to_mean),
            "cos to all": numbers(self.similarity_to_batch),
        }
        note = f"{self.conflicts} of {self.pairs} pairs in conflict, {self.dominated} dominated"
        said = f"{note}; {self.mode} mode, {counted(self.batches, 'batch')}"
        return columns, said + said_of_shares(self.share)
