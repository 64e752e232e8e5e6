"""Hold Hessian spectra, as a record and as a table.

No tensor library is imported here.
"""

from dataclasses import dataclass

import numpy as np

from landscape.errors import InputError
from landscape.results.density import Density, cumulative_density, smoothed_density
from landscape.results.fields import Array, axes
from landscape.results.matrix import MatrixSpec
from landscape.results.provenance import Provenance
from landscape.results.result import Result
from landscape.results.table import Columns, numbers, words


@dataclass(frozen=True)
class Spectrum(Result):
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
    lowest: Array = axes("scope")  # (S,) with a probability of 0.99 no eigenvalue is below
    highest: Array = axes("scope")  # (S,) likewise above; both NaN in files that do not say
    trace: Array = axes("scope")
    trace_sem: Array = axes("scope")
    frobenius: Array = axes("scope")  # (S,) ‖H‖_F, from the first step of every probe
    frobenius_sem: Array = axes("scope")  # (S,) NaN with one probe
    matvecs: Array = axes("scope")  # (S,) products made
    graphs_kept: Array = axes("scope")  # (S,) share of the batches whose graph was kept
    noise_floor: Array = axes("scope")  # (S,) rounding error of a Rayleigh quotient
    repeatability: Array = axes("scope")  # (S,) ‖Hv - Hv'‖ of a unit vector
    converged: Array = axes(
        "scope"
    )  # (S,) bool, both bounds within tolerance, no eigenvalue farther out
    verdict: Array = axes("scope")  # (S,) str
    gradient_small: Array = axes("scope")  # (S,) bool
    ritz_values: Array = axes("scope", "probe", "step", path="ritz/values")  # NaN padded
    ritz_weights: Array = axes("scope", "probe", "step", path="ritz/weights")

    @classmethod
    def completed(cls, arrays: dict[str, Array]) -> dict[str, Array]:
        """Add ``lowest`` and ``highest``, unknown, to files that do not hold them."""
        unknown_ends = np.full(len(arrays.get("scope", ())), np.nan)
        return {"lowest": unknown_ends, "highest": unknown_ends} | arrays

    @property
    def nonconvexity(self) -> Array:
        """|λmin/λmax| of each scope (S,): 0 where λmin ≥ 0, inf where only λmax ≤ 0."""
        low, high = np.asarray(self.lambda_min), np.asarray(self.lambda_max)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(high <= 0, np.inf, np.abs(low / high))
        known = np.isfinite(low) & np.isfinite(high)
        found: Array = np.where(known & (low >= 0), 0.0, np.where(known, ratio, np.nan))
        return found

    def density(self, scope: str) -> Density:
        """Smooth the spectral density of one scope.

        Raises:
            InputError: the scope is not in this file.
        """
        at = self.index(scope)
        return smoothed_density(self.ritz_values[at], self.ritz_weights[at])

    def cumulative(self, scope: str, grid: Array) -> tuple[Array, Array, Array]:
        """Compute the share of eigenvalues up to each grid point: mean, low, high over probes."""
        at = self.index(scope)
        return cumulative_density(self.ritz_values[at], self.ritz_weights[at], grid)

    def index(self, scope: str) -> int:
        """Find the position of a scope on the scope axis.

        Raises:
            InputError: the scope is not in this file.
        """
        names = [str(name) for name in self.scope]
        if scope not in names:
            raise InputError(f"no scope '{scope}' in this result; it holds {', '.join(names)}")
        return names.index(scope)

    def analysis_label(self, origin: Provenance) -> str:
        """Name the analysis, with the matrix where it is not the Hessian."""
        matrix = MatrixSpec.stored(origin)
        return origin.analysis if matrix.is_hessian else f"{origin.analysis} of the {matrix.name}"

    def table_columns(self) -> tuple[Columns, str]:
        """Choose the columns of the record's table, and a note."""
        judged = np.asarray(self.verdict) != ""  # no other matrix than the Hessian is
        marks = np.where(self.gradient_small | ~judged, "", " †")
        verdicts = [f"{v or '–'}{m}" for v, m in zip(self.verdict, marks, strict=True)]
        columns = {
            "scope": words(self.scope),
            "train": words(self.training_count),
            "used": words(self.samples),
            "loss": numbers(self.loss),
            "λmax": numbers(self.lambda_max, self.lambda_max_bound),
            "λmin": numbers(self.lambda_min, self.lambda_min_bound),
            "|λmin/λmax|": numbers(self.nonconvexity),
            "trace": numbers(self.trace, self.trace_sem),
            "verdict": verdicts,
        }
        note = "" if np.all(marks == "") else "† the gradient is not small"
        open_ends = int(np.sum(~np.asarray(self.converged, dtype=bool)))
        wide = f"{open_ends} of {len(self.scope)} scopes not within the tolerance"
        return columns, "; ".join(filter(None, (note, wide if open_ends else "")))
