"""Read the loss over a plane or a line, and choose the one scale of its pictures.

Points not computed are interpolated from the computed ones around them, linearly on the scale
of the picture; points whose value is not finite, and points outside the computed ones, are left
blank. The title counts both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator
from matplotlib.tri import LinearTriInterpolator, Triangulation

from figures.request import Request
from figures.runs.history import Snapshot, snapshots
from landscape.results import InputError
from landscape.results.basin import Basin
from landscape.results.fields import Array
from landscape.results.surface import Surface

QUANTITIES = ("loss", "objective", "both", "accuracy")
_LEVELS = 25
_NORMALISED = {"filter": " (filter-normalised)", "layer": " (layer-normalised)", "none": ""}


@dataclass(frozen=True)
class SurfacePanel:
    """One run and one scope."""

    run: str
    scope: str  # and the trained objective, where the loss is it
    x: Array  # (X,) steps along the first direction
    y: Array  # (Y,) along the second, a single one on a line
    loss: Array  # (Y, X) NaN where not computed
    accuracy: Array  # (Y, X) per cent, likewise
    done: Array  # (Y, X) bool
    complete: bool  # whether all points asked for are done
    basin: Basin  # of the loss
    labels: list[str]  # of the directions
    norms: tuple[float, ...]  # Euclidean, of a step 1 of each direction

    @property
    def is_line(self) -> bool:
        """Whether there is one direction."""
        return len(self.y) == 1

    def values(self, quantity: str) -> Array:
        """Return the loss or the accuracy (Y, X)."""
        return self.loss if quantity == "loss" else self.accuracy

    @property
    def ratio(self) -> float:
        """Length of a step of the second direction over that of the first; 1 if not known."""
        known = len(self.norms) == 2 and all(norm > 0 for norm in self.norms)
        return self.norms[1] / self.norms[0] if known else 1.0

    def best(self, quantity: str) -> tuple[float, float, float] | None:
        """Find the least loss or the highest accuracy computed: x, y and the value."""
        values = np.where(self.done, self.values(quantity), np.nan)
        if not np.isfinite(values).any():
            return None
        at = np.nanargmin(np.where(np.isfinite(values), values, np.nan) * self._sign(quantity))
        row, column = np.unravel_index(at, values.shape)
        return float(self.x[column]), float(self.y[row]), float(values[row, column])

    def title(self, quantity: str) -> str:
        """Name the panel, its value at the centre, the best and the worst, and its holes."""
        lines = [f"{self.run}: {self.scope}"]
        values, unit = self.values(quantity), "" if quantity == "loss" else " %"
        best, centre = self.best(quantity), values[np.ix_(self.y == 0, self.x == 0)].ravel()
        if best is not None:
            finite, is_loss = values[np.isfinite(values)], quantity == "loss"
            name = "least" if is_loss else "most"
            if best[:2] == (0, 0):
                lines.append(f"+ {quantity} {best[2]:.3g}{unit}, the {name} here")
            else:
                if centre.size and np.isfinite(centre[0]):
                    lines.append(f"+ {quantity} {centre[0]:.3g}{unit} at the checkpoint")
                lines.append(f"○ {name} {best[2]:.3g}{unit}{self._how_far() if is_loss else ''}")
            ends = (
                f"{'up' if is_loss else 'down'} to {finite.max() if is_loss else finite.min():.3g}"
            )
            if is_loss and self.complete and np.isfinite(self.basin.share):
                lines.append(f"{share_text(self.basin)}; loss {ends}")
            else:
                lines[-1] += f"; {ends}{unit}"
        return "\n".join([*lines, *holes(self.done, values, complete=self.complete)])

    def _how_far(self) -> str:
        """Say how far the least loss lies from the checkpoint, and how much lower."""
        lower = 1 - self.basin.minimum / self.basin.centre if self.basin.centre > 0 else np.nan
        said = f", {100 * lower:.2g} % lower" if np.isfinite(lower) else ""
        return f"{said}, {self.basin.distance:.3g} away"

    def _sign(self, quantity: str) -> int:
        return 1 if quantity == "loss" else -1


@dataclass(frozen=True)
class Scale:
    """One scale for all panels: log10 of a loss, an accuracy as it is."""

    quantity: str
    low: float
    high: float

    def height(self, values: Array) -> Array:
        """Place values on the scale; NaN where they are not finite.

        Losses far below the scale, 0 among them, are raised to a tenth of its lower end.
        """
        finite = np.where(np.isfinite(values), values, np.nan)
        if self.quantity != "loss":
            return finite
        with np.errstate(invalid="ignore"):
            logarithm: Array = np.log10(np.maximum(finite, self.low / 10))
        return logarithm

    @property
    def ends(self) -> tuple[float, float]:
        """The ends, as heights."""
        low, high = self.height(np.array([self.low, self.high]))
        return float(low), float(high)

    @property
    def levels(self) -> Array:
        """Heights of the filled contours, evenly spaced."""
        return np.linspace(*self.ends, _LEVELS)

    @property
    def ticks(self) -> Array:
        """Round values within the ends."""
        candidates: Array = np.asarray(MaxNLocator(6).tick_values(self.low, self.high))
        if self.quantity == "loss" and self.high / self.low > 4:
            steps = (1, 2, 5) if self.high / self.low < 3000 else (1,)
            candidates = np.asarray(LogLocator(subs=steps).tick_values(self.low, self.high))
        within = (candidates >= 0.999 * self.low) & (candidates <= 1.001 * self.high)
        return candidates[within]

    @property
    def tick_labels(self) -> list[str]:
        """The ticks as text."""
        return [f"{tick:.4g}" for tick in self.ticks]

    @property
    def label(self) -> str:
        """The quantity with its unit."""
        return "loss" if self.quantity == "loss" else "accuracy, %"


def share_text(basin: Basin) -> str:
    """Word a basin's share of the plane, with what its border's cells leave open."""
    low, high = (100 * bound for bound in basin.bracket)
    cut = ", to the edge" if basin.cut else ""
    return f"basin {100 * basin.share:.2g} % ({low:.2g} to {high:.2g}){cut}"


def surface_panels(request: Request, quantity: str = "loss") -> list[list[SurfacePanel]]:
    """Read the panels of a request, a row a run.

    Args:
        request: the runs and scopes.
        quantity: one of :data:`QUANTITIES`; ``both`` puts a row of the objective below the loss's.

    Raises:
        InputError: a run lacks the result or the objective, a scope is unknown or empty, or some
            surfaces have one direction and others two.
    """
    found = snapshots(request.surface_runs(), Surface, request.checkpoint)
    if len({len(one.record.y) == 1 for one in found}) > 1:
        raise InputError("some of these surfaces have one direction, some two; draw them apart")
    scopes = request.scopes or default_scopes([one.record for one in found])
    losses = {"objective": ("objective",), "both": ("loss", "objective")}.get(quantity, ("loss",))
    return [[surface_panel(one, scope, of) for scope in scopes] for one in found for of in losses]


def surface_panel(one: Snapshot[Surface], scope: str, loss: str = "loss") -> SurfacePanel:
    """Read one scope of one surface.

    Args:
        one: the surface.
        scope: such as ``overall`` or ``class/3``.
        loss: the plain ``loss``, or the ``objective`` in its place.

    Raises:
        InputError: the scope is unknown or has no samples, or the objective is not known.
    """
    record, name = one.record, one.scope_label(scope)
    if loss == "objective":
        if not str(record.objective_name):
            raise _lacks_objective(one)
        name = f"{name}, {record.objective_name}"
    values = record.scope_loss(scope) if loss == "loss" else record.scope_objective(scope)
    return SurfacePanel(
        one.label,
        name,
        record.x,
        record.y,
        np.where(record.done, values, np.nan),
        np.where(record.done, 100 * record.scope_accuracy(scope), np.nan),
        record.done,
        bool(record.complete),
        record.basin(scope, loss),
        direction_labels(record, one.origin.config),
        tuple(float(norm) for norm in record.direction_norm),
    )


def _lacks_objective(one: Snapshot[Surface]) -> InputError:
    return InputError(
        f"the surface of '{one.run.path}' holds no trained objective: its training's loss is not "
        "known, draws noise or compares samples, or an older version computed it; draw "
        "quantity=loss, or diagnose it again with --overwrite"
    )


def default_scopes(records: list[Surface]) -> tuple[str, ...]:
    """Choose overall, head and tail, or else the first and last class with samples everywhere."""
    groups = ("overall", "head", "tail")
    if all(_has(record, scope) for record in records for scope in groups):
        return groups
    present = [set(np.flatnonzero(record.samples).tolist()) for record in records]
    shared = sorted(set.intersection(*present))
    ends = dict.fromkeys(f"class/{c}" for c in [*shared[:1], *shared[-1:]])
    return ("overall", *ends)


def _has(record: Surface, scope: str) -> bool:
    try:
        return bool(record.scope_classes(scope))
    except InputError:
        return False


def direction_labels(record: Surface, config: Mapping[str, Any]) -> list[str]:
    """Name each direction by its kind, with the variance a principal one explains.

    Args:
        record: the surface.
        config: of its provenance, with the names of the checkpoints it passes through.
    """
    through = config.get("diagnose", {}).get("surface", {}).get("through", ())
    found = []
    for k, kind in enumerate(map(str, record.direction_kind)):
        share = record.explained[k]
        if kind == "random":
            found.append(f"random direction {k + 1}{_NORMALISED[str(record.normalisation)]}")
        elif kind == "pca":
            known = f" ({100 * share:.1f} % of the variance)" if np.isfinite(share) else ""
            found.append(f"principal direction {k + 1}{known}")
        elif kind == "checkpoint":
            found.append(f"towards checkpoint {through[k] if k < len(through) else k + 1}")
        else:
            found.append(f"eigenvector of the {kind.removeprefix('hessian ')} eigenvalue")
    return found


def shared_scale(found: list[SurfacePanel], quantity: str) -> Scale:
    """Span the 2nd to the 98th percentile of all finite values; a loss must be above 0."""
    values = np.concatenate([p.values(quantity).ravel() for p in found])
    usable = values[np.isfinite(values) & ((values > 0) | (quantity != "loss"))]
    if not usable.size:
        return Scale(quantity, 0.1, 10)
    low, high = (float(v) for v in np.percentile(usable, (2, 98)))
    if high - low <= 1e-6 * abs(high):  # a constant has no levels
        low, high = (low / 1.5, high * 1.5) if quantity == "loss" else (low - 1, high + 1)
    return Scale(quantity, low, high)


def holes(done: Array, values: Array, *, complete: bool = False) -> list[str]:
    """Count the missing points in words.

    Args:
        done: bool, any shape.
        values: likewise.
        complete: whether no more were asked for.
    """
    missing, broken = int((~done).sum()), int((done & ~np.isfinite(values)).sum())
    how = "interpolated" if complete else "not computed yet"
    found = [f"{missing} of {done.size} points {how}"] if missing else []
    if broken:
        found.append(f"{broken} {'point is' if broken == 1 else 'points are'} not finite")
    return found


def without_gaps(height: Array, done: Array) -> Array:
    """Interpolate the points that are not computed between the computed ones.

    Args:
        height: (Y, X) NaN where not finite.
        done: (Y, X) bool.

    Returns:
        Heights (Y, X); NaN at computed points that are not finite, at points beside them that are
        not computed, and outside of the computed ones.
    """
    rows, columns = np.nonzero(done)
    known = height[rows, columns]
    finite = np.isfinite(known)
    corners = np.stack([rows, columns], axis=1)
    # NumPy 2.0 has no rank of an empty matrix
    flat = len(corners) < 3 or np.linalg.matrix_rank(corners - corners[:1]) < 2
    if done.all() or flat:
        return height
    mesh = Triangulation(columns, rows)
    broken = ~finite[mesh.triangles].all(axis=1)
    if broken.all():
        return height
    mesh.set_mask(broken)
    read = LinearTriInterpolator(mesh, np.where(finite, known, 0))
    X, Y = np.meshgrid(np.arange(done.shape[1]), np.arange(done.shape[0]))
    between: Array = np.ma.filled(read(X, Y), np.nan)
    return np.where(done, height, between)
