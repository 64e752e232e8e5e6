"""Describe a figure of a paper: runs, analyses, scopes, and the kind that draws it.

No drawing library is imported here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Place:
    """Data and imbalance."""

    data: str
    imbalance: float | None  # None for the data's own

    @staticmethod
    def names() -> tuple[str, ...]:
        """List the names of its settings."""
        return tuple(field.name for field in fields(Place))

    @property
    def name(self) -> str:
        """The name of the data, without a path."""
        return self.data.rpartition(":")[2].rstrip("/").rpartition("/")[2] or self.data

    @property
    def label(self) -> str:
        """The data and imbalance in words."""
        if self.imbalance is None or self.imbalance == 1:
            return self.name
        return f"{self.name}, imbalance {self.imbalance:g}"

    def is_like(self, other: "Place") -> bool:
        """Tell whether both are the same; an open imbalance is like any."""
        imbalances = {self.imbalance, other.imbalance}
        return self.name == other.name and (None in imbalances or len(imbalances) == 1)


@dataclass(frozen=True)
class Want:
    """A run a figure shows."""

    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)  # beyond the method's own


@dataclass(frozen=True)
class PaperFigure:
    """A figure of a paper, or the nearest one that the methods allow."""

    title: str  # paper and number
    summary: str  # what it shows, whatever the data say
    kind: str
    wants: tuple[Want, ...]
    analyses: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)  # of the kind
    data: str = "cifar10"
    imbalance: float | None = 100  # None takes the data as they are
    checkpoint: str = "last"  # that is shown
    checkpoints: str = "last"  # that are diagnosed
    recipe: str = "a"  # of the paper; its own data only
    kept: str = ""  # epochs, where the figure's differ from the recipe's
    steps: str = ""  # optimiser steps, likewise
    diagnose: str = ""  # further flags; {reference} is the folder of that run
    reference: Want | None = None  # a run that is marked and not drawn
    claim: str = ""  # what the paper says of its data, beside which those of the runs stand

    @property
    def place(self) -> Place:
        """The paper's data."""
        return Place(self.data, self.imbalance)

    @property
    def directions(self) -> str:
        """Directions of the surfaces it shows."""
        return self.options.get("directions", "random")

    def stored_as(self, analysis: str) -> str:
        """Name the folder of an analysis's results: surfaces over other directions stand apart."""
        if analysis != "surface" or self.directions == "random":
            return analysis
        return f"{analysis}-{self.directions}"

    @property
    def over_time(self) -> bool:
        """Whether several checkpoints are shown."""
        return self.checkpoints == "all" or "," in self.checkpoints


def wanted(*methods: str, **settings: Any) -> tuple[Want, ...]:
    """Want several methods with the same settings."""
    return tuple(Want(method, settings) for method in methods)


def values(method: str, name: str, *found: Any, **settings: Any) -> tuple[Want, ...]:
    """Want a method with several values of one setting."""
    return tuple(Want(method, {name: value, **settings}) for value in found)
