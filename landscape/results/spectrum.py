"""Hold Hessian spectra, as a record and as a table.

No tensor library is imported here.
"""

from dataclasses import dataclass

import numpy as np

from landscape.errors import InputError
from landscape.results.density import (
    Density,
    cumulative_density,
    ritz_rounding,
    share_bounds,
    smoothed_density,
)
from landscape.results.fields import Array, axes
from landscape.results.matrix import MatrixSpec
from landscape.results.provenance import Provenance
from landscape.results.result import Result
from landscape.results.table import Columns, bracket, numbers, words

_LATER = (  # datasets that files of older versions lack; NaN where nothing can be said
    "lowest",
    "highest",
    "trace_probes",
    "orthogonality_loss",
    "dimension",
)


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
    lambda_max_bound: Array = axes("scope")  # (S,) estimate: least of residual, r²/gap; plus noise
    lambda_min: Array = axes("scope")
    lambda_min_residual: Array = axes("scope")
    lambda_min_bound: Array = axes("scope")
    lowest: Array = axes("scope")  # (S,) with a probability of 0.99 no eigenvalue is below, nor
    highest: Array = axes("scope")  # (S,) any above this
    trace: Array = axes("scope")
    trace_sem: Array = axes("scope")  # (S,) of trace_probes samples; 0 where exact
    trace_probes: Array = axes("scope")  # (S,) random vectors; 0 where exact
    frobenius: Array = axes("scope")  # (S,) ‖H‖_F, from the first step of every probe
    frobenius_sem: Array = axes("scope")  # (S,) NaN with fewer than five probes
    matvecs: Array = axes("scope")  # (S,) products made
    graphs_kept: Array = axes("scope")  # (S,) share of the batches whose graph was kept
    noise_floor: Array = axes("scope")  # (S,) rounding error of a Rayleigh quotient
    repeatability: Array = axes("scope")  # (S,) ‖Hv - Hv'‖ of a unit vector
    orthogonality_loss: Array = axes("scope")  # (S,) ‖QQᵀ - I‖_F of the Krylov basis
    dimension: Array = axes("scope")  # (S,) P of the matrix
    negative_directions: Array = axes("scope")  # (S,) at least so many eigenvalues < 0, proved
    negative_share_low: Array = axes("scope")  # (S,) with a probability of 0.99 the share of
    negative_share_high: Array = axes("scope")  # (S,) negative eigenvalues lies between these
    converged: Array = axes("scope")  # (S,) bool, both estimates within tolerance, none farther out
    verdict: Array = axes("scope")  # (S,) str
    gradient_small: Array = axes("scope")  # (S,) bool
    ritz_values: Array = axes("scope", "probe", "step", path="ritz/values")  # NaN padded
    ritz_weights: Array = axes("scope", "probe", "step", path="ritz/weights")

    @classmethod
    def completed(cls, arrays: dict[str, Array]) -> dict[str, Array]:
        """Add what follows from the other datasets, and NaN for what an older file does not say."""
        unknown = np.full(len(arrays.get("scope", ())), np.nan)
        names = ("negative_directions", "negative_share_low", "negative_share_high")
        found = dict.fromkeys((*_LATER, *names), unknown) | arrays
        if set(names) <= set(arrays) or "ritz_values" not in arrays:
            return found
        record = cls(**found)
        rows = [record._negative(at) for at in range(len(unknown))]
        columns = np.array(rows, dtype=float).reshape(-1, len(names)).T
        return found | dict(zip(names, columns, strict=True))

    @property
    def lambda_min_bracket(self) -> Array:
        """Bracket of the lowest eigenvalue (S, 2): 99 % from below, proved from above."""
        return np.stack([self.lowest, self.lambda_min + self.noise_floor], axis=1)

    @property
    def lambda_max_bracket(self) -> Array:
        """Bracket of the highest eigenvalue (S, 2): proved from below, 99 % from above."""
        return np.stack([self.lambda_max - self.noise_floor, self.highest], axis=1)

    @property
    def nonconvexity_bracket(self) -> Array:
        """Bracket of |λmin/λmax| (S, 2) from those of both ends; inf where λmax may be ≤ 0."""
        (least, low), (high, most) = self.lambda_min_bracket.T, self.lambda_max_bracket.T
        with np.errstate(divide="ignore", invalid="ignore"):
            smallest = np.where(most <= 0, np.inf, np.maximum(-low, 0) / most)
            greatest = np.where(least >= 0, 0.0, np.where(high <= 0, np.inf, -least / high))
        unknown = np.isnan(least) | np.isnan(most)
        return np.where(unknown, np.nan, np.stack([smallest, greatest])).T

    def end_texts(self, at: int) -> tuple[str, str]:
        """Write λmax and λmin of the scope at a position as brackets.

        Where nothing is proved, as in the released protocol, the value stands alone.
        """
        (high, most), (least, low) = self.lambda_max_bracket[at], self.lambda_min_bracket[at]
        values = numbers(np.array([self.lambda_max[at], self.lambda_min[at]]))
        return (
            values[0] if np.isnan(high) else bracket(high, most),
            values[1] if np.isnan(low) else bracket(least, low),
        )

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
        """Compute the share of eigenvalues up to each grid point, and bounds of it.

        Args:
            scope: its name.
            grid: (G,) eigenvalues.

        Returns:
            Mean over probes, lower and upper bound, each (G,). With a probability of 99 % the share
            is within the bounds at every point; they are NaN where the dimension is not known.

        Raises:
            InputError: the scope is not in this file.
        """
        at = self.index(scope)
        mean, *_ = cumulative_density(self.ritz_values[at], self.ritz_weights[at], grid)
        return mean, *self._shares(at, grid)

    def _shares(self, at: int, points: Array) -> tuple[Array, Array]:
        """Bound the share of eigenvalues up to each point."""
        if np.isnan(self.dimension[at]) or np.isnan(self.ritz_values[at]).all():
            unknown = np.full(len(points), np.nan)
            return unknown, unknown
        return share_bounds(
            self.ritz_values[at],
            self.ritz_weights[at],
            points,
            int(self.dimension[at]),
            rounding=self._ritz_rounding(at),
            weight_rounding=2 * float(self.orthogonality_loss[at]),
        )

    def _ritz_rounding(self, at: int) -> float:
        error = max(float(self.noise_floor[at]), float(self.repeatability[at]))
        return ritz_rounding(self.ritz_values[at], float(self.orthogonality_loss[at]), error)

    def _negative(self, at: int) -> tuple[float, float, float]:
        """Count the proved negative directions; bound the share of negative eigenvalues."""
        if np.isnan(self.dimension[at]) or np.isnan(self.ritz_values[at]).all():
            return np.nan, np.nan, np.nan
        directions = (self.ritz_values[at] < -self._ritz_rounding(at)).sum(axis=1).max()
        below = np.array([np.nextafter(0.0, -1.0)])
        (low,), (high,) = self._shares(at, below)
        return float(directions), low, high

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
        ends = [self.end_texts(at) for at in range(len(self.scope))]
        columns = {
            "scope": words(self.scope),
            "train": words(self.training_count),
            "used": words(self.samples),
            "loss": numbers(self.loss),
            "λmax": [high for high, _ in ends],
            "λmin": [low for _, low in ends],
            "|λmin/λmax|": numbers(self.nonconvexity),
            "trace": numbers(self.trace, self.trace_sem),
            "verdict": verdicts,
        }
        note = "" if np.all(marks == "") else "† the gradient is not small"
        open_ends = int(np.sum(~np.asarray(self.converged, dtype=bool)))
        wide = f"{open_ends} of {len(self.scope)} scopes not within the tolerance"
        return columns, "; ".join(filter(None, (note, wide if open_ends else "")))
