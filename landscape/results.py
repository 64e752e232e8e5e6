"""The HDF5 store: frozen records in, whole files out, and back.

A record is a dataclass whose array fields name their axes; the writer turns axes into HDF5
dimension scales, so that xarray opens the files. Provenance stands in the root attributes. Values
are stored as computed: NaN and inf are never replaced. No tensor library is imported here.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, overload

import h5py
import numpy as np
from numpy.typing import NDArray

from landscape.curvature.density import Density, cumulative_density, smoothed_density
from landscape.errors import InputError
from landscape.storage import atomic_path, atomic_write

__all__ = [
    "RECORDS",
    "SCHEMA",
    "Accuracy",
    "Density",
    "InputError",
    "Provenance",
    "Record",
    "Spectrum",
    "atomic_path",
    "atomic_write",
    "load",
    "save",
]

SCHEMA = "tailscape/1"
Array = NDArray[Any]
Item = TypeVar("Item")


def axes(*names: str, path: str = "") -> Any:
    """Declare a dataset: its axis names and, where it is not the field's name, its path."""
    return field(metadata={"axes": names, "path": path})


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


@dataclass(frozen=True)
class Spectrum:
    """Hessian spectrum of each scope; S scopes."""

    scope: Array = axes("scope")  # (S,) str
    training_count: Array = axes("scope")  # (S,) training samples
    samples: Array = axes("scope")  # (S,) samples used
    loss: Array = axes("scope")  # (S,) mean over the scope
    grad_norm: Array = axes("scope")  # (S,) Euclidean
    lambda_max: Array = axes("scope")  # (S,) Rayleigh quotient of a fresh product
    lambda_max_residual: Array = axes("scope")  # (S,) ‖Hy - θy‖
    lambda_max_bound: Array = axes(
        "scope"
    )  # (S,) the smaller of residual and r²/gap, plus the noise floor
    lambda_min: Array = axes("scope")
    lambda_min_residual: Array = axes("scope")
    lambda_min_bound: Array = axes("scope")
    trace: Array = axes("scope")
    trace_sem: Array = axes("scope")
    frobenius: Array = axes("scope")  # (S,) ‖H‖_F, from the first step of every probe
    frobenius_sem: Array = axes("scope")  # (S,) NaN with one probe
    matvecs: Array = axes("scope")  # (S,) products made
    graphs_kept: Array = axes("scope")  # (S,) share of the batches whose graph was kept
    noise_floor: Array = axes("scope")  # (S,) rounding error of a Rayleigh quotient
    repeatability: Array = axes("scope")  # (S,) ‖Hv - Hv'‖ of a unit vector
    converged: Array = axes("scope")  # (S,) bool, both bounds within tolerance
    verdict: Array = axes("scope")  # (S,) str
    gradient_small: Array = axes("scope")  # (S,) bool
    ritz_values: Array = axes("scope", "probe", "step", path="ritz/values")  # NaN padded
    ritz_weights: Array = axes("scope", "probe", "step", path="ritz/weights")

    @property
    def nonconvexity(self) -> Array:
        """|λmin/λmax| of each scope (S,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio: Array = np.abs(self.lambda_min / self.lambda_max)
        return ratio

    def density(self, scope: str) -> Density:
        """Smooth the spectral density of one scope.

        Raises:
            InputError: the scope is not in this file.
        """
        at = self.index(scope)
        return smoothed_density(self.ritz_values[at], self.ritz_weights[at])

    def cumulative(self, scope: str, grid: Array) -> tuple[Array, Array, Array]:
        """Share of the eigenvalues at or below each grid point: mean, low and high over probes."""
        at = self.index(scope)
        return cumulative_density(self.ritz_values[at], self.ritz_weights[at], grid)

    def index(self, scope: str) -> int:
        """Position of a scope on the scope axis.

        Raises:
            InputError: the scope is not in this file.
        """
        names = [str(name) for name in self.scope]
        if scope not in names:
            raise InputError(f"no scope '{scope}' in this result; it holds {', '.join(names)}")
        return names.index(scope)


@dataclass(frozen=True)
class Accuracy:
    """Confusion on the test set; K classes, G groups."""

    class_name: Array = axes("class", path="class")  # (K,) str
    training_count: Array = axes("class")  # (K,)
    confusion: Array = axes("class", "predicted")  # (K, K) counts, row is the true class
    per_class: Array = axes("class")  # (K,) share correct
    group_name: Array = axes("group_name")  # (G,) str: overall, head, mid, tail
    group: Array = axes("group_name")  # (G,) share correct of the samples, NaN for an empty group
    split: Array = axes()  # () str, the rule that defines the groups

    def by_scope(self) -> dict[str, float]:
        """Accuracy of overall, head, mid, tail and every class; NaN for an empty group."""
        groups = zip(self.group_name, self.group, strict=True)
        shares = {str(name): float(share) for name, share in groups}
        return shares | {f"class/{c}": float(v) for c, v in enumerate(self.per_class)}


Record = Spectrum | Accuracy
RECORDS: dict[str, type[Record]] = {
    "spectrum": Spectrum,
    "spectrum-saddle": Spectrum,
    "accuracy": Accuracy,
}


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
