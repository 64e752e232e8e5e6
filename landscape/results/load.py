"""Result records: frozen dataclasses whose array fields name their axes.

Values are stored as computed: NaN and inf are never replaced, and NaN stands where there is nothing
to say, as for a class without samples. No tensor library is imported here.
"""

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from landscape.errors import InputError
from landscape.groups import SplitName, scope_classes
from landscape.results.density import Density, cumulative_density, smoothed_density
from landscape.results.result import Result

Array = NDArray[Any]


def axes(*names: str, path: str = "") -> Any:
    """Declare a dataset: its axis names and, where it is not the field's name, its path."""
    return field(metadata={"axes": names, "path": path})


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
    converged: Array = axes("scope")  # (S,) bool, both bounds within tolerance, nothing hidden
    verdict: Array = axes("scope")  # (S,) str
    gradient_small: Array = axes("scope")  # (S,) bool
    ritz_values: Array = axes("scope", "probe", "step", path="ritz/values")  # NaN padded
    ritz_weights: Array = axes("scope", "probe", "step", path="ritz/weights")

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
class Accuracy(Result):
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


@dataclass(frozen=True)
class Surface(Result):
    """Loss around a checkpoint, w + x d_1 + y d_2, for every class; K classes."""

    x: Array = axes("x")  # (X,) steps along the first direction
    y: Array = axes("y")  # (Y,) along the second; a single 0 on a line
    loss: Array = axes("y", "x", "class")  # (Y, X, K) mean over the class's samples
    correct: Array = axes("y", "x", "class")  # (Y, X, K) counts
    done: Array = axes("y", "x")  # (Y, X) bool; loss is NaN where it is not
    class_name: Array = axes("class", path="class")  # (K,) str
    training_count: Array = axes("class")  # (K,)
    samples: Array = axes("class")  # (K,) samples used
    direction_kind: Array = axes("direction", path="directions/kind")  # (D,) str
    direction_norm: Array = axes("direction", path="directions/norm")  # (D,) Euclidean, of a step 1
    direction_cosine: Array = axes(path="directions/cosine")  # () between the two, after scaling
    normalisation: Array = axes(path="directions/normalisation")  # () filter, layer or none
    explained: Array = axes("direction", path="directions/explained")  # (D,) of PCA, else NaN
    trajectory_epoch: Array = axes("point", path="trajectory/epoch")  # (T,) epochs
    trajectory_xy: Array = axes("point", "axis", path="trajectory/xy")  # (T, 2) least squares
    trajectory_residual: Array = axes("point", path="trajectory/residual")  # (T,) norm off-plane
    mark_name: Array = axes("mark", path="marks/name")  # (M,) str, such as another run's name
    mark_xy: Array = axes("mark", "axis", path="marks/xy")  # (M, 2)
    mark_residual: Array = axes("mark", path="marks/residual")  # (M,)
    split: Array = axes()  # () str, the rule that defines head, mid and tail

    def scope_classes(self, scope: str) -> tuple[int, ...]:
        """Classes of a scope that have samples.

        Raises:
            InputError: the scope is not known.
        """
        return _scope(scope, self.training_count, self.samples, self.split)

    def scope_loss(self, scope: str) -> Array:
        """Mean loss of a scope (Y, X), classes weighted by their training samples."""
        members = list(self.scope_classes(scope))
        loss: Array = self.loss[:, :, members] @ self._shares(members)
        return loss

    def scope_accuracy(self, scope: str) -> Array:
        """Share correct of a scope (Y, X), classes weighted by their training samples."""
        members = list(self.scope_classes(scope))
        correct: Array = (self.correct / np.maximum(self.samples, 1))[:, :, members]
        return correct @ self._shares(members)

    def _shares(self, members: list[int]) -> Array:
        shares: Array = self.training_count[members] / self.training_count[members].sum()
        return shares


@dataclass(frozen=True)
class Gradients(Result):
    """Gradients of the classes' mean losses; K classes, L groups of layers."""

    class_name: Array = axes("class", path="class")  # (K,) str
    training_count: Array = axes("class")  # (K,)
    samples: Array = axes("class")  # (K,) samples used
    loss: Array = axes("class")  # (K,) mean loss
    similarity: Array = axes("class", "other")  # (K, K) cosine; NaN for a class without samples
    similarity_std: Array = axes("class", "other")  # (K, K) over mini-batches; NaN for all data
    similarity_to_mean: Array = axes("class")  # (K,) cosine with the average over classes
    similarity_to_unit_mean: Array = axes("class")  # (K,) the same with gradients of unit length
    similarity_to_batch: Array = axes("class")  # (K,) cosine with the gradient of all samples
    similarity_to_direction: Array = axes("class")  # (K,) with what the rule follows, or NaN
    norm: Array = axes("class")  # (K,) Euclidean
    norm_ratio: Array = axes("class")  # (K,) to the average over classes
    conflicts: Array = axes()  # () pairs with a negative cosine
    dominated: Array = axes()  # () pairs whose smaller one opposes the average over classes
    dominated_unit: Array = axes()  # () the same by the average of gradients of unit length
    pairs: Array = axes()  # () pairs compared
    batches: Array = axes()  # () mini-batches averaged over; 1 for all data
    mode: Array = axes()  # () eval or train
    layer: Array = axes("layer", path="layers/name")  # (L,) str
    layer_similarity: Array = axes("layer", "class", "other", path="layers/similarity")
    layer_norm: Array = axes("layer", "class", path="layers/norm")
    layer_similarity_to_mean: Array = axes("layer", "class", path="layers/similarity_to_mean")


@dataclass(frozen=True)
class Features(Result):
    """Penultimate features of each class; K classes, D dimensions, N embedded samples."""

    class_name: Array = axes("class", path="class")  # (K,) str
    training_count: Array = axes("class")  # (K,)
    samples: Array = axes("class")  # (K,)
    quality: Array = axes("class")  # (K,) Dist - β log Var
    quality_released: Array = axes("class")  # (K,) -1/Dist - log Var
    separation: Array = axes("class")  # (K,) Dist, to the nearest other centroid
    variance: Array = axes("class")  # (K,) Var, mean squared distance to the centroid
    nc1: Array = axes()  # () within-class against between-class covariance
    nc1_class: Array = axes("class")  # (K,) a class's own share of it
    nc2_norms: Array = axes()  # () coefficient of variation of the centroids' norms
    nc2: Array = axes()  # () distance of the centroids' Gram matrix from a simplex
    nc3: Array = axes()  # () distance of centroids and classifier, both normalised
    nc4: Array = axes()  # () share of samples classified as by the nearest centroid
    dimension: Array = axes()  # () D
    embedding: Array = axes("sample", "axis")  # (N, 2) t-SNE; N = 0 when not asked for
    label: Array = axes("sample")  # (N,)
    split: Array = axes()  # () str, the rule that defines head, mid and tail

    def has(self, scope: str) -> bool:
        """Whether a scope has a class with samples."""
        counts, rule = [int(n) for n in self.training_count], cast(SplitName, str(self.split))
        found = scope_classes((scope, "classes"), counts, rule)  # an empty group is left out
        return any(self.samples[c] > 0 for c in found.get(scope, ()))

    def scope_mean(self, scope: str, name: str = "quality") -> float:
        """Mean over a scope's classes of one of the class quantities."""
        members = list(_scope(scope, self.training_count, self.samples, self.split))
        return float(getattr(self, name)[members].mean())


@dataclass(frozen=True)
class Similarity(Result):
    """Similarity of classes' representations; M measures, K classes."""

    measure: Array = axes("measure")  # (M,) str: cca, svcca, pwcca, cka
    class_name: Array = axes("class", path="class")  # (K,) str
    training_count: Array = axes("class")  # (K,)
    score: Array = axes("measure", "class", "other")  # (M, K, K) mean over draws; row the side of X
    shuffled_baseline: Array = axes("measure", "class", "other")  # (M, K, K) rows of one shuffled
    head_tail: Array = axes("measure")  # (M,) head samples against tail samples
    head_tail_sem: Array = axes("measure")  # (M,) over draws
    head_tail_baseline: Array = axes("measure")  # (M,)
    rows: Array = axes()  # () samples a side of a draw, n
    dimension: Array = axes()  # () d
    draws: Array = axes()  # ()
    paired: Array = axes()  # () how rows are matched: class-balanced draws, or checkpoint NAME


@dataclass(frozen=True)
class Sharpness(Result):
    """Loss at perturbed parameters; R ratios, S scopes, K classes."""

    ratio: Array = axes("ratio")  # (R,) ‖ε‖/‖w‖
    scope: Array = axes("scope")  # (S,) str
    loss: Array = axes("ratio", "draw", "scope")  # (R, draw, S) at random ε
    start: Array = axes("scope")  # (S,) loss at w
    perturbed: Array = axes()  # () classifier or all
    radius: Array = axes()  # () ρ of the ascents
    sam_sharpness: Array = axes("scope")  # (S,) loss after one ascent step of length ρ, less start
    sam_sharpness_steps: Array = axes("scope")  # (S,) the most over several steps in the ball
    class_name: Array = axes("class", path="class")  # (K,) str
    training_count: Array = axes("class")  # (K,)
    class_loss: Array = axes("class")  # (K,) mean loss
    weighted_loss: Array = axes("class")  # (K,) times the class's frequency
    characteristic_radius: Array = axes("class")  # (K,) CC-SAM Eq. 8, of the perturbed parameters


def _scope(scope: str, counts: Array, samples: Array, split: Array) -> tuple[int, ...]:
    rule = cast(SplitName, str(split))
    members = scope_classes((scope,), [int(n) for n in counts], rule)[scope]
    present = tuple(c for c in members if samples[c] > 0)
    if not present:
        raise InputError(f"no class of scope '{scope}' has samples in this result")
    return present


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
