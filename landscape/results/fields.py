"""Declare fields of result records: arrays that name their axes.

Values are stored as computed: NaN and inf are never replaced, and NaN stands where there is nothing
to say, as for a class without samples. No tensor library is imported here.
"""

from dataclasses import field, fields
from typing import Any, NamedTuple

from numpy.typing import NDArray

Array = NDArray[Any]


class Stored(NamedTuple):
    """A dataset of a record's file."""

    field: str  # of the dataclass
    path: str  # in the file
    axes: tuple[str, ...]


def datasets(record: Any) -> list[Stored]:
    """List the datasets of a record, or of a kind of records, in order."""
    found = [(item.name, item.metadata) for item in fields(record)]
    return [Stored(name, data["path"] or name, data["axes"]) for name, data in found]


def axes(*names: str, path: str = "") -> Any:
    """Declare a dataset: its axis names and, where it is not the field's name, its path."""
    return field(metadata={"axes": names, "path": path})
