"""Hold eigenpairs at the ends of a spectrum, as a record and as a table.

No tensor library is imported here.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from landscape.results.fields import Array, axes
from landscape.results.result import Result
from landscape.results.table import Columns, numbers, words


@dataclass(frozen=True)
class Eigenpairs(Result):
    """Eigenpairs of one scope's matrix, ascending; n pairs, P parameters, T tensors."""

    value: Array = axes("pair")  # (n,) Rayleigh quotients of fresh products
    residual: Array = axes("pair")  # (n,) ‖Hv - θv‖
    bound: Array = axes("pair")  # (n,) each pair has an eigenvalue of its own within it
    converged: Array = axes("pair")  # (n,) bool, bound within the tolerance
    lowest: Array = axes()  # () with a probability of 0.99 no eigenvalue that is not listed is
    highest: Array = axes()  # () below lowest or above highest; infinite where not asked for
    tensor: Array = axes("tensor")  # (T,) names of the parameters, in the vectors' order
    tensor_size: Array = axes("tensor")  # (T,) entries of each
    vectors: Array = axes("pair", "parameter")  # (n, P), unit norm; (n, 0) where not saved

    def save(self, path: str | Path, *, vectors: bool = False) -> Path:
        """Write one whole HDF5 file, without the vectors unless they are asked for.

        Args:
            path: final name; its folder is created.
            vectors: write them, too: n times P numbers.

        Returns:
            The path.

        Raises:
            InputError: the record has no provenance, or the folder cannot be written to.
        """
        if vectors or self.provenance is None or not self.vectors.shape[1]:
            return super().save(path)
        without = replace(self, vectors=np.zeros((len(self.value), 0)))
        return without.with_provenance(self.provenance).save(path)

    def table_columns(self) -> tuple[Columns, str]:
        """Choose the columns of the record's table, and a note."""
        columns = {
            "pair": words(np.arange(len(self.value))),
            "eigenvalue": numbers(self.value),
            "±": numbers(self.bound),
            "converged": words(self.converged),
        }
        low, high = numbers(np.array([self.lowest, self.highest]))
        return columns, f"none further lies outside [{low}, {high}] with 99 %"
