"""What every result record offers: its origin, a file, a table, and other libraries' containers.

The containers' libraries are imported when one is asked for. No tensor library is imported here.
"""

import copy
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

from landscape.errors import InputError
from landscape.results.provenance import Provenance

if TYPE_CHECKING:
    import pandas
    import xarray


class Stored(NamedTuple):
    """A dataset of a record's file."""

    field: str  # of the dataclass
    path: str  # in the file
    axes: tuple[str, ...]


def datasets(record: "Result | type[Result]") -> list[Stored]:
    """List the datasets of a record, or of a kind of records, in order."""
    found = [(item.name, item.metadata) for item in fields(cast(Any, record))]
    return [Stored(name, data["path"] or name, data["axes"]) for name, data in found]


class Result:
    """Base of the records.

    Attributes:
        provenance: what made it, ``None`` for one put together by hand. It is no dataset: a copy
            with other values, as :func:`dataclasses.replace` makes, has none.
    """

    provenance: Provenance | None = None

    def with_provenance(self, provenance: Provenance) -> Self:
        """Copy the record and say what made it."""
        found = copy.copy(self)
        object.__setattr__(found, "provenance", provenance)
        return found

    def save(self, path: str | Path) -> Path:
        """Write one whole HDF5 file, replacing what stood there.

        Args:
            path: final name; its folder is created.

        Returns:
            The path.

        Raises:
            InputError: the record has no provenance, or the folder cannot be written to.
        """
        from landscape.results import save

        if self.provenance is None:
            raise InputError(
                f"this {type(self).__name__} does not know what made it, and a file must say so; "
                "give it its origin with .with_provenance(provenance)"
            )
        path = Path(path)
        save(self, self.provenance, path)
        return path

    def to_xarray(self, group: str = "") -> "xarray.Dataset":
        """Put the datasets of one group of the file into an :class:`xarray.Dataset`.

        It is what ``xarray.open_dataset(path, engine="h5netcdf", group=group)`` gives of the file.

        Args:
            group: such as ``ritz`` or ``layers``; the datasets in no group by default.

        Raises:
            InputError: xarray is not installed, or there is no such group.
        """
        from landscape.results.export import xarray_dataset

        return xarray_dataset(self, group)

    def to_dataframe(self, axis: str = "") -> "pandas.DataFrame":
        """Put all datasets that have one axis, the same, into columns of a table.

        Args:
            axis: whose labels are the index; by default ``scope``, ``measure`` or ``class``, the
                first that the record has.

        Raises:
            InputError: pandas is not installed, or no dataset has this axis alone.
        """
        from landscape.results.export import dataframe

        return dataframe(self, axis)

    def __str__(self) -> str:
        from landscape.results.table import table_of

        return table_of(self).text()

    def _repr_html_(self) -> str:
        from landscape.results.table import table_of

        return table_of(self).html()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}
