"""Write records as whole HDF5 files.

A record is a dataclass whose array fields name their axes; the writer turns axes into HDF5
dimension scales, so that xarray opens the files. Provenance stands in the root attributes. Values
are stored as computed: NaN and inf are never replaced. A line with a checksum follows the HDF5
bytes. No tensor library is imported here.
"""

import io
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from landscape.results.atomic import atomic_write
from landscape.results.checksum import sealed
from landscape.results.fields import Array, datasets
from landscape.results.provenance import Provenance


def save(record: Any, provenance: Provenance, path: Path) -> None:
    """Write a record as one whole HDF5 file.

    Args:
        record: the result.
        provenance: its origin, written as root attributes.
        path: final name; replaced if it exists.

    Raises:
        InputError: the folder cannot be written to, or the disk is full.
    """

    def write(target: IO[bytes]) -> None:
        content = io.BytesIO()  # HDF5 itself crashes where the disk is full
        with h5py.File(content, "w") as file:
            file.attrs.update(provenance.attributes())
            for name, where, _ in datasets(record):
                file.create_dataset(where, data=_storable(getattr(record, name)))
            for _, where, axes in datasets(record):
                _attach_axes(file, where, axes)
        target.write(sealed(content))

    atomic_write(path, write)


def read_array(dataset: h5py.Dataset) -> Array:
    """Read a dataset as an array, texts as such."""
    if h5py.check_string_dtype(dataset.dtype):
        return np.asarray(dataset.asstr()[()], dtype=str)
    return np.asarray(dataset[()])


def plain(value: Any) -> Any:
    """Turn a NumPy scalar into a plain value."""
    return value.item() if isinstance(value, np.generic) else value


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
