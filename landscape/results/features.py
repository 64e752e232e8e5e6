"""Hold quantities of penultimate features, as a record and as a table.

No tensor library is imported here.
"""

from dataclasses import dataclass
from typing import cast

from landscape.groups import SplitName, scope_classes
from landscape.results.fields import Array, axes
from landscape.results.result import Result, scope_members
from landscape.results.table import Columns, numbers, words


@dataclass(frozen=True)
class Features(Result):
    """Penultimate features of each class; K classes, D dimensions, N embedded samples."""

    class_name: Array = axes("class", path="class")  # (K,) str
    training_count: Array = axes("class")  # (K,)
    samples: Array = axes("class")  # (K,)
    quality: Array = axes("class")  # (K,) Dist - β log Var
    quality_released: Array = axes("class")  # (K,) -1/Dist - log Var
    separation: Array = axes("class")  # (K,) Dist, to the nearest other centroid
    variance: Array = axes("class")  # (K,) Var, mean squared distance to the centroid
    nc1: Array = axes()  # () within-class against between-class covariance
    nc1_class: Array = axes("class")  # (K,) a class's own share of it
    nc2_norms: Array = axes()  # () coefficient of variation of the centroids' norms
    nc2: Array = axes()  # () distance of the centroids' Gram matrix from a simplex
    nc3: Array = axes()  # () distance of centroids and classifier, both normalised
    nc4: Array = axes()  # () share of samples classified as by the nearest centroid
    dimension: Array = axes()  # () D
    embedding: Array = axes("sample", "axis")  # (N, 2) t-SNE; N = 0 when not asked for
    label: Array = axes("sample")  # (N,)
    split: Array = axes()  # () str, the rule that defines head, mid and tail

    def has(self, scope: str) -> bool:
        """Tell whether a scope has a class with samples."""
        counts, rule = [int(n) for n in self.training_count], cast(SplitName, str(self.split))
        found = scope_classes((scope, "classes"), counts, rule)  # an empty group is left out
        return any(self.samples[c] > 0 for c in found.get(scope, ()))

    def scope_mean(self, scope: str, name: str = "quality") -> float:
        """Average one of the class quantities over a scope's classes."""
        members = list(scope_members(scope, self.training_count, self.samples, self.split))
        return float(getattr(self, name)[members].mean())

    def table_columns(self) -> tuple[Columns, str]:
        """Choose the columns of the record's table, and a note."""
        columns = {
            "class": words(self.class_name),
            "train": words(self.training_count),
            "used": words(self.samples),
            "quality": numbers(self.quality),
            "separation": numbers(self.separation),
            "variance": numbers(self.variance),
            "NC1": numbers(self.nc1_class),
        }
        collapse = f"NC1 {self.nc1:.3g}, NC2 {self.nc2:.3g}, NC3 {self.nc3:.3g}"
        note = f"neural collapse {collapse}, NC4 {self.nc4:.3g}; {self.dimension} dimensions"
        return columns, note
