"""Convert records to the containers of other libraries, imported when asked for."""

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.errors import InputError, unknown
from landscape.results.fields import datasets

if TYPE_CHECKING:
    import pandas
    import xarray

_ROWS = ("scope", "measure", "class")


def xarray_dataset(record: Any, group: str = "") -> "xarray.Dataset":
    """Build the dataset that xarray opens of a record's file, see :meth:`Result.to_xarray`."""
    xarray = _library("xarray")
    stored = datasets(record)
    groups = {path.rpartition("/")[0] for _, path, _ in stored}
    if group not in groups:
        raise unknown("group", group, groups - {""})
    axes: dict[str, Any] = {}
    for name, _, names in stored:
        sizes = np.asarray(getattr(record, name)).shape
        axes |= {a: np.arange(n) for a, n in zip(names, sizes, strict=True) if a not in axes}
    found = {}
    for name, path, names in stored:
        if path.rpartition("/")[0] == group:
            found[path.rpartition("/")[2]] = (names, np.asarray(getattr(record, name)))
    scales = {a: (a, values) for a, values in axes.items() if a not in found}
    attributes = {} if group or record.provenance is None else record.provenance.attributes()
    return xarray.Dataset(found | ({} if group else scales), attrs=attributes)


def xarray_tree(records: Mapping[str, Any], attributes: Mapping[str, str]) -> "xarray.DataTree":
    """Build a tree of records.

    Args:
        records: by their paths in the tree; the groups of a record lie below it.
        attributes: of the root.

    Raises:
        InputError: xarray is not installed, or too old for trees.
    """
    xarray = _library("xarray")
    if not hasattr(xarray, "DataTree"):
        raise InputError(
            f"xarray {xarray.__version__} has no DataTree; 'pip install --upgrade xarray'"
        )
    nodes: dict[str, Any] = {"/": xarray.Dataset(attrs=dict(attributes))}
    for place, record in records.items():
        groups = {path.rpartition("/")[0] for _, path, _ in datasets(record)}
        for group in sorted(groups | {""}):
            nodes["/".join(filter(None, (place, group)))] = xarray_dataset(record, group)
    return xarray.DataTree.from_dict(nodes)


def dataframe(record: Any, axis: str = "") -> "pandas.DataFrame":
    """Build a table of one axis, see :meth:`Result.to_dataframe`."""
    pandas = _library("pandas")
    alone = [(path, name) for name, path, names in datasets(record) if len(names) == 1]
    on = {name: names[0] for name, _, names in datasets(record) if len(names) == 1}
    axis = axis or next(a for a in _ROWS if a in on.values())
    if axis not in on.values():
        raise unknown("axis", axis, set(on.values()))
    columns = {path: np.asarray(getattr(record, name)) for path, name in alone if on[name] == axis}
    length = len(next(iter(columns.values())))
    index = pandas.Index(columns.pop(axis, np.arange(length)), name=axis)
    return pandas.DataFrame(columns, index=index)


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"{name} is not installed; 'pip install xarray' brings xarray and pandas"
        ) from error
