"""The HDF5 store: frozen records in, whole files out, and back.

A record is a dataclass whose array fields name their axes; the writer turns axes into HDF5
dimension scales, so that xarray opens the files. Provenance stands in the root attributes. Values
are stored as computed: NaN and inf are never replaced. No tensor library is imported here.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, overload

import h5py
import numpy as np

from landscape.curvature.density import Density
from landscape.errors import InputError, unknown
from landscape.records import (
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
from landscape.storage import atomic_path, atomic_write

__all__ = [
    "RECORDS",
    "SCHEMA",
    "Accuracy",
    "Density",
    "Features",
    "Gradients",
    "InputError",
    "Provenance",
    "Record",
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

SCHEMA = "tailscape/1"
Item = TypeVar("Item")


@dataclass(frozen=True)
class Provenance:
    """What made a result: the root attributes of its file."""

    analysis: str
    checkpoint: str
    config: dict[str, Any]  # the resolved configuration, stored as JSON
    created: str  # ISO 8601, UTC
    seed: int
    dtype: str
    device: str
    torch: str
    weights_sha256: str
    data_sha256: str
    bn_mode: str
    loss: str
    seconds: float
    schema: str = SCHEMA


def save(record: Record, provenance: Provenance, path: Path) -> None:
    """Write a record as one whole HDF5 file.

    Args:
        record: the result.
        provenance: its origin, written as root attributes.
        path: final name; replaced if it exists.

    Raises:
        InputError: the folder cannot be written to.
    """
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        for name, value in asdict(provenance).items():
            file.attrs[name] = json.dumps(value) if name == "config" else value
        for item in fields(record):
            where = item.metadata["path"] or item.name
            file.create_dataset(where, data=_storable(getattr(record, item.name)))
        for item in fields(record):
            _attach_axes(file, item.metadata["path"] or item.name, item.metadata["axes"])


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
    missing = [f.name for f in fields(record_type) if f.name not in arrays]
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
        attributes = {f.name: _plain(file.attrs[f.name]) for f in fields(Provenance)}
        attributes["config"] = json.loads(attributes["config"])
        provenance = Provenance(**attributes)
        if provenance.analysis not in RECORDS:
            raise InputError(f"'{path}' holds analysis '{provenance.analysis}', unknown here")
        arrays = {
            item.name: _array(file[item.metadata["path"] or item.name])
            for item in fields(RECORDS[provenance.analysis])
            if (item.metadata["path"] or item.name) in file
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
