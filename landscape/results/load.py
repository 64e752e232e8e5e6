"""Read result files as records. No tensor library is imported here."""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, overload

import h5py

from landscape.analyses.catalogue import ANALYSES, Analysis, find_analysis
from landscape.errors import InputError
from landscape.results.checksum import check_whole
from landscape.results.fields import Array, Stored, datasets
from landscape.results.hdf5 import plain, read_array
from landscape.results.plugins import PluginWarning
from landscape.results.provenance import SCHEMA, Provenance
from landscape.results.remedy import remedy
from landscape.results.result import Result
from landscape.results.run_folder import is_run

Item = TypeVar("Item")
# what h5py and the conversion of attributes raise on bytes that are no result file
_DAMAGED = (OSError, LookupError, TypeError, RuntimeError, ValueError, AttributeError)


def record_types() -> dict[str, type[Result]]:
    """List the kinds of records, by the analyses that return them.

    One of another package that cannot be imported is left out, with a warning.
    """
    found: dict[str, type[Result]] = {}
    for name, entry in ANALYSES.items():
        try:
            found[name] = entry.record_type()
        except InputError as error:
            warnings.warn(f"analysis '{name}' is left out: {error}", PluginWarning, stacklevel=2)
    return found


@overload
def load(path: str | Path) -> Result: ...
@overload
def load(path: str | Path, kind: type[Item]) -> Item: ...
def load(path: str | Path, kind: type | None = None) -> Any:
    """Read a result file, with its origin in the record's ``provenance``.

    Args:
        path: an HDF5 file that :meth:`landscape.results.result.Result.save` or a diagnosis wrote.
        kind: the record expected, for example :class:`landscape.results.spectrum.Spectrum`.

    Raises:
        InputError: no such file, a damaged one, or one of another analysis.
    """
    found: Any
    path = Path(path)
    found, provenance = read_record(path) if kind is None else read_record(path, kind)
    return found.with_provenance(provenance)


@overload
def read_record(path: Path) -> tuple[Result, Provenance]: ...
@overload
def read_record(path: Path, kind: type[Item]) -> tuple[Item, Provenance]: ...
def read_record(path: Path, kind: type | None = None) -> tuple[Any, Provenance]:
    """Read a record and its provenance.

    Args:
        path: an HDF5 file of this schema.
        kind: the record expected, for example :class:`Spectrum`.

    Raises:
        InputError: no such file, a damaged one, another schema, or another analysis.
    """
    path = Path(path)
    with _opened(path) as file:
        provenance = _provenance(file, path)
        record = _analysis(provenance, path).record_type()
        if kind is not None and record is not kind:
            raise InputError(
                f"'{path}' holds analysis '{provenance.analysis}', not {kind.__name__.lower()}"
            )
        stored = datasets(record)
        arrays = {name: read_array(file[where]) for name, where, _ in stored if where in file}
        _check_shapes(path, stored, arrays)
        arrays = record.completed(arrays)
    missing = [name for name, _, _ in stored if name not in arrays]
    if missing:
        raise InputError(
            f"'{path}' lacks {', '.join(missing)}; it was not written whole: run the analysis "
            "again with --overwrite"
        )
    return record(**arrays), provenance


def _check_shapes(path: Path, stored: Sequence[Stored], arrays: Mapping[str, Array]) -> None:
    """Check that datasets of one axis have one length.

    Raises:
        InputError: they have not, which no program of ours writes.
    """
    sizes: dict[str, int] = {}
    for name, where, axes in stored:
        shape = arrays[name].shape if name in arrays else ()
        fits = name not in arrays or len(shape) == len(axes)
        if not fits or any(sizes.setdefault(a, n) != n for a, n in zip(axes, shape, strict=False)):
            raise InputError(
                f"'{path}' has a dataset '{where}' of shape {shape} over the axes {axes}, which "
                "the others do not have so; run its analysis again with --overwrite"
            )


def load_provenance(path: str | Path) -> Provenance:
    """Read the origin of a result file, and none of its datasets.

    Args:
        path: an HDF5 file of this schema.

    Raises:
        InputError: no such file, a damaged one, another schema, or an unknown analysis.
    """
    path = Path(path)
    with _opened(path) as file:
        found = _provenance(file, path)
    _analysis(found, path)
    return found


def record_type(analysis: str) -> type[Result]:
    """Find the record of an analysis.

    Raises:
        InputError: there is no such analysis.
    """
    return find_analysis(analysis).record_type()


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    if not path.is_file():
        run = path.parents[2] if len(path.parents) > 2 else path
        known = is_run(run) and path.suffix == ".h5"
        made = remedy(run, path.parent.name, path.stem) if known else "give one that exists"
        raise InputError(f"no result file '{path}'; {made}")
    check_whole(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except _DAMAGED as error:
        raise InputError(
            f"'{path}' is not a whole HDF5 file of ours ({error}); run its analysis again with "
            "--overwrite"
        ) from error


def _provenance(file: h5py.File, path: Path) -> Provenance:
    schema = str(file.attrs.get("schema", "none"))
    if schema != SCHEMA:
        raise InputError(
            f"'{path}' has schema '{schema}', this version reads '{SCHEMA}'; "
            "use the version that wrote it, or run the analysis again"
        )
    attributes = {name: plain(file.attrs[name]) for name in Provenance.__dataclass_fields__}
    config = json.loads(attributes["config"])
    texts = attributes.keys() - {"seed", "seconds"}
    numbers = all(isinstance(attributes[name], int | float) for name in ("seed", "seconds"))
    if not numbers or not all(isinstance(attributes[name], str) for name in texts):
        raise InputError(f"'{path}' has root attributes that are none of ours; make it again")
    if not isinstance(config, dict) or not isinstance(config.get("plan", {}), dict):
        raise InputError(f"'{path}' has no configuration; run its analysis again with --overwrite")
    return Provenance(**attributes | {"config": config})


def _analysis(origin: Provenance, path: Path) -> Analysis:
    try:
        return find_analysis(origin.analysis)
    except InputError as error:
        raise InputError(f"'{path}' holds analysis '{origin.analysis}', unknown here") from error
