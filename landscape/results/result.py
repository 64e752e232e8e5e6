"""Base of the result records: provenance, a file, a table, and other libraries' containers.

The containers' libraries are imported when one is asked for. No tensor library is imported here.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from landscape.errors import InputError
from landscape.groups import SplitName, named_scopes, scope_classes
from landscape.results.export import dataframe, xarray_dataset
from landscape.results.fields import Array
from landscape.results.hdf5 import save
from landscape.results.provenance import Provenance
from landscape.results.table import Columns, Table

if TYPE_CHECKING:
    import pandas
    import xarray


class Result:
    """Base of the records.

    Attributes:
        provenance: origin of the numbers, ``None`` for a record put together by hand. It is no
            dataset: a copy with other values, as :func:`dataclasses.replace` makes, has none.
    """

    provenance: Provenance | None = None

    @classmethod
    def analysis_name(cls) -> str:
        """Name the analysis that returns such records."""
        return cls.__name__.lower()

    @classmethod
    def completed(cls, arrays: dict[str, Array]) -> dict[str, Array]:
        """Add the datasets that files of older versions lack."""
        return arrays

    def with_provenance(self, provenance: Provenance) -> Self:
        """Copy the record with its provenance."""
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

        It equals ``xarray.open_dataset(path, engine="h5netcdf", group=group)`` of the file.

        Args:
            group: such as ``ritz`` or ``layers``; the datasets in no group by default.

        Raises:
            InputError: xarray is not installed, or there is no such group.
        """
        return xarray_dataset(self, group)

    def to_dataframe(self, axis: str = "") -> "pandas.DataFrame":
        """Put all datasets that have one axis, the same, into columns of a table.

        Args:
            axis: whose labels are the index; by default ``scope``, ``measure`` or ``class``, the
                first that the record has.

        Raises:
            InputError: pandas is not installed, or no dataset has this axis alone.
        """
        return dataframe(self, axis)

    def analysis_label(self, origin: Provenance) -> str:
        """Name the analysis that made the record, as captions do."""
        return origin.analysis

    def table_columns(self) -> tuple[Columns, str]:
        """Choose the columns of the record's table, and a note."""
        raise NotImplementedError

    def __str__(self) -> str:
        return table_of(self).text()

    def _repr_html_(self) -> str:
        return table_of(self).html()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}


def scope_members(scope: str, counts: Array, samples: Array, split: Array) -> tuple[int, ...]:
    """List the classes of a scope that have samples.

    Args:
        scope: its name.
        counts: training samples of each class (K,).
        samples: samples of each class in the result (K,).
        split: the rule that defines head, mid and tail.

    Raises:
        InputError: no class of the scope has samples.
    """
    rule = cast(SplitName, str(split))
    members = scope_classes((scope,), [int(n) for n in counts], rule)[scope]
    present = tuple(c for c in members if samples[c] > 0)
    if not present:
        raise InputError(f"no class of scope '{scope}' has samples in this result")
    return present


def table_of(record: Result) -> Table:
    """Build the table of a record.

    Args:
        record: of any analysis.
    """
    origin = record.provenance
    columns, note = columns_of(record, () if origin is None else class_names(origin))
    rows = tuple(zip(*columns.values(), strict=True))
    return Table(tuple(columns), rows, "; ".join(filter(None, (_origin(record), note))))


def columns_of(record: Result, names: Sequence[str] = ()) -> tuple[Columns, str]:
    """Choose the columns of a record's table, scopes of classes by their names, and a note.

    Args:
        record: of any analysis.
        names: of the classes.
    """
    try:
        columns, note = record.table_columns()
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"the values of this {type(record).__name__} do not fit together ({error}); where a "
            "file holds them, run its analysis again with --overwrite"
        ) from error
    if "scope" in columns:
        columns = {**columns, "scope": list(named_scopes(columns["scope"], names))}
    return columns, note


def class_names(origin: Provenance) -> Sequence[str]:
    """Read the names of the classes; none where they are not stored."""
    names: Sequence[str] = origin.config.get("class_names", ())
    return names


def _origin(record: Result) -> str:
    origin = record.provenance
    if origin is None:
        return record.analysis_name()
    plan = origin.config.get("plan", {})
    of = ", ".join(dict.fromkeys([str(plan.get("method", "model")), origin.checkpoint]))
    on = f" on {plan['data']}" if "data" in plan else ""
    return f"{record.analysis_label(origin)} of {of}{on}; loss {origin.loss}; {origin.dtype}"
