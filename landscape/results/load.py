"""Result files as records: the records by the names of their analyses.

No tensor library is imported here.
"""

import json
from pathlib import Path
from typing import Any, TypeVar, overload

import h5py
import numpy as np

from landscape.errors import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.features import Features
from landscape.results.fields import Array, datasets
from landscape.results.gradients import Gradients
from landscape.results.hdf5 import plain, read_array
from landscape.results.provenance import SCHEMA, Provenance
from landscape.results.sharpness import Sharpness
from landscape.results.similarity import Similarity
from landscape.results.spectrum import Spectrum
from landscape.results.surface import Surface

Record = Spectrum | Accuracy | Surface | Gradients | Features | Similarity | Sharpness
RECORDS: dict[str, type[Record]] = {
    "spectrum": Spectrum,
    "spectrum-saddle": Spectrum,
    "accuracy": Accuracy,
    "surface": Surface,
    "gradients": Gradients,
    "features": Features,
    "similarity": Similarity,
    "sharpness": Sharpness,
}
Item = TypeVar("Item")


@overload
def load(path: str | Path) -> Record: ...
@overload
def load(path: str | Path, kind: type[Item]) -> Item: ...
def load(path: str | Path, kind: type | None = None) -> Any:
    """Read a result file; what made it is the record's ``provenance``.

    Args:
        path: an HDF5 file that :meth:`landscape.results.result.Result.save` or a diagnosis wrote.
        kind: the record expected, for example :class:`landscape.results.spectrum.Spectrum`.

    Raises:
        InputError: no such file, not a whole one, or one of another analysis.
    """
    found: Any
    path = Path(path)
    found, provenance = read_record(path) if kind is None else read_record(path, kind)
    return found.with_provenance(provenance)


@overload
def read_record(path: Path) -> tuple[Record, Provenance]: ...
@overload
def read_record(path: Path, kind: type[Item]) -> tuple[Item, Provenance]: ...
def read_record(path: Path, kind: type | None = None) -> tuple[Any, Provenance]:
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


def load_provenance(path: str | Path) -> Provenance:
    """Read what made a result file, without the arrays.

    Args:
        path: an HDF5 file of this schema.

    Raises:
        InputError: no such file, not a whole HDF5 file, another schema, or an unknown analysis.
    """
    with _opened(Path(path)) as file:
        return _provenance(file, Path(path))


def _read(path: Path) -> tuple[Provenance, dict[str, Array]]:
    with _opened(path) as file:
        provenance = _provenance(file, path)
        arrays = {
            name: read_array(file[where])
            for name, where, _ in datasets(RECORDS[provenance.analysis])
            if where in file
        }
    return provenance, arrays


def _opened(path: Path) -> h5py.File:
    if not path.is_file():
        raise InputError(f"no result file '{path}'; run 'tailscape diagnose' on its run first")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            f"'{path}' is not a whole HDF5 file ({error}); run its analysis again with --overwrite"
        ) from error


def _provenance(file: h5py.File, path: Path) -> Provenance:
    schema = str(file.attrs.get("schema", "none"))
    if schema != SCHEMA:
        raise InputError(
            f"'{path}' has schema '{schema}', this version reads '{SCHEMA}'; "
            "use the version that wrote it, or run the analysis again"
        )
    names = Provenance.__dataclass_fields__
    attributes = {name: plain(file.attrs[name]) for name in names}
    attributes["config"] = json.loads(attributes["config"])
    provenance = Provenance(**attributes)
    if provenance.analysis not in RECORDS:
        raise InputError(f"'{path}' holds analysis '{provenance.analysis}', unknown here")
    return provenance
