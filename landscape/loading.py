"""Result files as records. No tensor library is imported here."""

from pathlib import Path
from typing import Any, TypeVar, overload

from landscape import results
from landscape.results.load import Record

Kind = TypeVar("Kind")


@overload
def load(path: str | Path) -> Record: ...
@overload
def load(path: str | Path, kind: type[Kind]) -> Kind: ...
def load(path: str | Path, kind: type | None = None) -> Any:
    """Read a result file; what made it is the record's ``provenance``.

    Args:
        path: an HDF5 file that :meth:`landscape.results.result.Result.save` or a diagnosis wrote.
        kind: the record expected, for example :class:`landscape.results.load.Spectrum`.

    Raises:
        InputError: no such file, not a whole one, or one of another analysis.
    """
    found: Any
    path = Path(path)
    found, provenance = results.load(path) if kind is None else results.load(path, kind)
    return found.with_provenance(provenance)
