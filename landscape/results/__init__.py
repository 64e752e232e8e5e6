"""The HDF5 store: frozen records in, whole files out, and back.

A record is a dataclass whose array fields name their axes; the writer turns axes into HDF5
dimension scales, so that xarray opens the files. Provenance stands in the root attributes. Values
are stored as computed: NaN and inf are never replaced. No tensor library is imported here.
"""

import json
from pathlib import Path
from typing import Any, TypeVar, overload

import h5py
import numpy as np

from landscape.errors import InputError, unknown
from landscape.results.atomic import atomic_path, atomic_write
from landscape.results.density import Density
from landscape.results.load import (
    RECORDS,
    Accuracy,
    Array,
    Features,
    Gradients,
    Record,
    Sharpness,
    Similarity,
    Spectrum,
    Surface,
)
from landscape.results.matrix import Matrix
from landscape.results.provenance import SCHEMA, Provenance
from landscape.results.result import Result, datasets

__all__ = [
    "RECORDS",
    "SCHEMA",
    "Accuracy",
    "Density",
    "Features",
    "Gradients",
    "InputError",
    "Matrix",
    "Provenance",
    "Record",
    "Result",
    "Sharpness",
    "Similarity",
    "Spectrum",
    "Surface",
    "atomic_path",
    "atomic_write",
    "load",
    "save",
    "unknown",
]

Item = TypeVar("Item")


def save(record: Result, provenance: Provenance, path: Path) -> None:
    """Write a record as one whole HDF5 file.

    Args:
        record: the result.
        provenance: its origin, written as root attributes.
        path: final name; replaced if it exists.

    Raises:
        InputError: the folder cannot be written to.
    """
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(provenance.attributes())
        for name, where, _ in datasets(record):
            file.create_dataset(where, data=_storable(getattr(record, name)))
        for _, where, axes in datasets(record):
            _attach_axes(file, where, axes)


@overload
def load(path: Path) -> tuple[Record, Provenance]: ...
@overload
def load(path: Path, kind: type[Item]) -> tuple[Item, Provenance]: ...
def load(path: Path, kind: type | None = None) -> tuple[Any, Provenance]:
    """Read a record and its provenance.

    Args:
        path: an HDF5 file of this schema.
        kind: the record expected, for example :class:`Spectrum`.

    Raises:
        InputError: no such file, not a whole HDF5 file, another schema, or another analysis.
    """
    provenance, arrays = _read(Path(path))
    record_type = RECORDS[provenance.analysis]
    if kind is not None and record_type is not kind:
        raise InputError(
            f"'{path}' holds analysis '{provenance.analysis}', not {kind.__name__.lower()}"
        )
    if record_type is Spectrum:
        unknown_ends = np.full(len(arrays.get("scope", ())), np.nan)
        arrays = {"lowest": unknown_ends, "highest": unknown_ends} | arrays
    missing = [name for name, _, _ in datasets(record_type) if name not in arrays]
    if missing:
        raise InputError(
            f"'{path}' lacks {', '.join(missing)}; it was not written whole: run the analysis "
            "again with --overwrite"
        )
    return record_type(**arrays), provenance


def _read(path: Path) -> tuple[Provenance, dict[str, Array]]:
    if not path.is_file():
        raise InputError(f"no result file '{path}'; run 'tailscape diagnose' on its run first")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            f"'{path}' is not a whole HDF5 file ({error}); run its analysis again with --overwrite"
        ) from error
    with file:
        schema = str(file.attrs.get("schema", "none"))
        if schema != SCHEMA:
            raise InputError(
                f"'{path}' has schema '{schema}', this version reads '{SCHEMA}'; "
                "use the version that wrote it, or run the analysis again"
            )
        names = Provenance.__dataclass_fields__
        attributes = {name: _plain(file.attrs[name]) for name in names}
        attributes["config"] = json.loads(attributes["config"])
        provenance = Provenance(**attributes)
        if provenance.analysis not in RECORDS:
            raise InputError(f"'{path}' holds analysis '{provenance.analysis}', unknown here")
        arrays = {
            name: _array(file[where])
            for name, where, _ in datasets(RECORDS[provenance.analysis])
            if where in file
        }
    return provenance, arrays


def _storable(value: Array) -> Any:
    array = np.asarray(value)
    if array.dtype.kind in "UO":
        return array.astype(h5py.string_dtype())
    return array


def _attach_axes(file: h5py.File, path: str, names: tuple[str, ...]) -> None:
    for position, name in enumerate(names):
        if name not in file:
            file.create_dataset(name, data=np.arange(file[path].shape[position]))
        if not file[name].is_scale:
            file[name].make_scale(name)
        if path != name:
            file[path].dims[position].attach_scale(file[name])


def _array(dataset: h5py.Dataset) -> Array:
    if h5py.check_string_dtype(dataset.dtype):
        return np.asarray(dataset.asstr()[()], dtype=str)
    return np.asarray(dataset[()])


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
