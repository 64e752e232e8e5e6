r"""Which algorithm: Lanczos with full re-orthogonalisation, several probes in lockstep.

From a unit start q₁, m products give H Q = Q T + β_m q_{m+1} e_mᵀ with T tridiagonal. A Ritz pair
(θ, s) of T has residual r = |β_m s_m|: an eigenvalue of H lies within r of θ (Parlett 1998, ch. 4),
and within r²/δ, where δ is the gap to the rest of the spectrum (Kato-Temple). The squared first
components of s are the quadrature weights of the start vector's spectral measure (Golub and
Meurant 1994).

Every vector is orthogonalised twice against the whole basis, so converged eigenvalues appear once.
No constant is added to a norm: a step whose β is at rounding level relative to T ends the run, for
the basis then spans an invariant subspace and T's eigenvalues are exact. So the result scales with
the matrix, however small it is.

Where the basis would not fit, it is compressed to the Ritz vectors of both ends and the run goes on
from there (thick restart, Wu and Simon 2000); T then has an arrow in place of its first rows. The
quadrature is that of the first cycle.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from landscape.curvature.norms import SLICE, norm, orthogonalise
from landscape.curvature.operator import Operator

CHECK_EVERY = 5
LEAST_CAPACITY = 8  # basis vectors without which a restarted run gets nowhere


@dataclass(frozen=True)
class Ritz:
    """Eigenpairs of the projected matrix, ascending."""

    values: Tensor  # (m,)
    weights: Tensor  # (m,), sum 1 before any restart
    residuals: Tensor  # (m,), |β_m s_m|
    vectors: Tensor  # (m, m), columns; basis.T @ column is the Ritz vector


@dataclass(frozen=True)
class Lanczos:
    """Decomposition H Q = Q T + β q eᵀ from one start vector."""

    basis: Tensor  # (m, P), orthonormal rows, operator's dtype and device
    projected: Tensor  # (m, m), T = QᵀHQ, float64, CPU
    coupling: float  # β_m to what was left out
    following: Tensor  # (P,), q_{m+1}; zero when the subspace is invariant
    quadrature: Ritz  # of the first cycle
    products: int

    @property
    def steps(self) -> int:
        """Dimension m of the Krylov space held."""
        return len(self.projected)

    def ritz(self) -> Ritz:
        """Return all Ritz values, ascending, with weights and residuals."""
        return _ritz(self.projected, self.coupling)

    def orthogonality_loss(self) -> float:
        """Return ‖Q Qᵀ - I‖_F of the basis' rows, which rounding leaves above zero."""
        m, device = self.steps, self.basis.device
        gram = torch.zeros((m, m), dtype=torch.float64, device=device)
        for rows in self.basis.split(SLICE, dim=1):
            gram += rows @ rows.T
        return float(norm(gram - torch.eye(m, dtype=torch.float64, device=device)))

    def product_of(self, coefficients: Tensor) -> Tensor:
        """Return H Qᵀ-combined, H (Q c), from the recurrence, without a product (P,)."""
        c = coefficients.to(self.projected)
        inside = (self.projected @ c).to(self.basis.device, self.basis.dtype)
        return self.basis.T @ inside + self.coupling * float(c[-1]) * self.following


Stop = Callable[[list[Ritz], bool], bool]  # of each run's pairs, and whether it was restarted


def lanczos(
    operator: Operator,
    starts: Tensor,
    steps: int,
    *,
    stop: Stop | None = None,
    capacity: int | None = None,
    on_host: bool = False,
) -> list[Lanczos]:
    """Run Lanczos from each column of ``starts``, sharing every pass over the data.

    Args:
        operator: symmetric, size P.
        starts: (P, k) non-zero start vectors.
        steps: products a start, at most; the basis never exceeds P.
        stop: asked with the present Ritz pairs, and whether a restart has cost them the start's
            weights, every few steps on a GPU, whose queue it empties; true ends the run.
        capacity: basis vectors held of each start, at least 8; default: as many as steps.
        on_host: hold the basis, and orthogonalise, in the host's memory.

    Returns:
        One decomposition a start; shorter than ``steps`` where an invariant subspace was found.

    Example:
        A start that touches two of three eigenvectors finds their eigenvalues, and ends there.

    >>> from landscape.curvature.dense import MatrixOperator
    >>> matrix = torch.diag(torch.tensor([-1.0, 2.0, 5.0]).double())
    >>> start = torch.tensor([[3.0], [0.0], [4.0]]).double()
    >>> (found,) = lanczos(MatrixOperator(matrix), start, steps=3)
    >>> found.steps, found.ritz().values.round(decimals=6)
    (2, tensor([-1.,  5.], dtype=torch.float64))
    >>> found.ritz().weights.round(decimals=6)  # squared overlaps with the start
    tensor([0.3600, 0.6400], dtype=torch.float64)
    """
    return lanczos_of_blocks(
        operator,
        starts,
        (operator.size,),
        steps,
        stops=None if stop is None else [stop],
        capacity=capacity,
        on_host=on_host,
    )[0]


def lanczos_of_blocks(
    operator: Operator,
    starts: Tensor,
    sizes: Sequence[int],
    steps: int,
    *,
    stops: Sequence[Stop] | None = None,
    capacity: int | None = None,
    on_host: bool = False,
) -> list[list[Lanczos]]:
    """Run Lanczos on every diagonal block of a block-diagonal matrix at once.

    The blocks' vectors lie side by side in one vector, so one product of the whole serves them all.
    Once a block's run has ended its part of that vector is zero.

    Args:
        operator: symmetric, size P, zero outside its diagonal blocks.
        starts: (P, k) start vectors, not zero within any block.
        sizes: of the blocks, in the order of the parameters; their sum is P.
        steps: as for :func:`lanczos`, and likewise the rest, for each block by itself.
        stops: one a block.
        capacity: basis vectors held of each start.
        on_host: hold them in the host's memory.

    Returns:
        The decompositions of each block, one a start.
    """
    held = max(steps if capacity is None else capacity, LEAST_CAPACITY)
    starts = starts.cpu() if on_host else starts
    states = [_State(part, min(steps, len(part), held)) for part in starts.split(list(sizes))]
    for done in range(1, steps + 1):
        vectors = torch.cat([state.asked for state in states], dim=1).to(operator.device)
        products = operator.matmat(vectors.T).T.to(starts.device).split(list(sizes), dim=1)
        for block, (state, product) in enumerate(zip(states, products, strict=True)):
            if state.going:
                state.absorb(product)
                stop = None if stops is None else stops[block]
                state.going = done < steps and not state.finished(stop)
        if not any(state.going for state in states):
            break
    return [state.results() for state in states]


@dataclass
class _State:
    """The lockstep runs on a block: one basis tensor (k, room, P) and one projected matrix each."""

    starts: Tensor  # (P, k)
    room: int
    held: int = 0  # basis vectors in use
    products: int = 0
    going: bool = True
    quadrature: list[Ritz] = field(default_factory=list)  # of the first cycle, once restarted

    def __post_init__(self) -> None:
        (self.size, probes), device = self.starts.shape, self.starts.device
        # not of zeros: untouched pages take no memory, and a run may end long before it is full
        self.basis = self.starts.new_empty((probes, self.room, self.size))
        self.projected = torch.zeros(
            (probes, self.room, self.room), dtype=torch.float64, device=device
        )
        self.beta, self.scale = torch.zeros((2, probes), dtype=torch.float64, device=device)
        self.ended = torch.full((probes,), self.room + 1, device=device)
        starts = self.starts.double() / norm(self.starts, dim=0)
        self.vector = starts.T.to(self.starts.dtype).contiguous()
        self.floor = 10 * torch.finfo(self.starts.dtype).eps

    @property
    def full(self) -> bool:
        return self.held == self.room

    @property
    def asked(self) -> Tensor:
        """What is to be multiplied next (k, P); zero once the run has ended."""
        return self.vector if self.going else torch.zeros_like(self.vector)

    def absorb(self, product: Tensor) -> None:
        """Add one basis vector to each run, given the product (k, P) with the present ones."""
        j = self.held
        self.basis[:, j] = self.vector
        alpha = (self.vector.double() * product.double()).sum(dim=1)
        rest = orthogonalise(product, self.basis[:, : j + 1]).double()
        length = norm(rest, dim=1)
        self.scale = torch.maximum(self.scale, alpha.abs() + length + self.beta)
        alive = length > self.floor * self.scale
        self.projected[:, j, j] = alpha
        self.beta = torch.where(alive, length, 0.0)
        if j + 1 < self.room:
            self.projected[:, j, j + 1] = self.projected[:, j + 1, j] = self.beta
        newly = ~alive & (self.ended > self.room)
        self.ended = torch.where(newly, j + 1, self.ended)
        inverse = torch.where(alive, 1 / length, 0.0)
        self.vector = (rest * inverse[:, None]).to(self.starts.dtype)
        self.held, self.products = j + 1, self.products + 1

    def finished(self, stop: Stop | None) -> bool:
        """Whether there is nothing to go on for; compresses a basis that is full."""
        if self.held == self.size:  # the basis spans the whole space
            return True
        regular = self.starts.device.type == "cpu" or self.products % CHECK_EVERY == 0
        if not (self.full or regular):  # asking empties a GPU's queue
            return False
        if not bool((self.ended > self.room).any()):
            return True
        enough = self.products >= CHECK_EVERY or self.full
        if enough and stop is not None and stop(self.ritz(), bool(self.quadrature)):
            return True
        if self.full:
            self.restart()
        return False

    def ritz(self) -> list[Ritz]:
        """Ritz pairs of every run, on the CPU."""
        return [_ritz(projected, coupling) for projected, coupling in self._cut()]

    def restart(self) -> None:
        """Compress each basis to the Ritz vectors of both ends."""
        kept = max(self.room // 4, 1)
        pairs = self.ritz()
        self.quadrature = self.quadrature or pairs
        self.projected.zero_()
        for k, ritz in enumerate(pairs):
            size = len(ritz.values)
            ends = [*range(min(kept, size)), *range(max(size - kept, kept), size)]
            chosen = ritz.vectors[:, ends]
            at = torch.arange(len(ends))
            rotation = chosen.T.to(self.basis.device, self.basis.dtype)
            # all at once, the rotated ones would take half as much again
            for columns in self.basis[k].split(SLICE, dim=1):
                columns[: len(ends)] = rotation @ columns[:size]
            self.projected[k, at, at] = ritz.values[ends].to(self.projected.device)
            if self.ended[k] <= self.room:  # nothing couples to the basis of a run that ended
                self.ended[k] = len(ends)
                continue
            border = (float(self.beta[k]) * chosen[-1]).to(self.projected.device)
            self.projected[k, 2 * kept, at] = self.projected[k, at, 2 * kept] = border
        self.held = 2 * kept

    def results(self) -> list[Lanczos]:
        """Cut every run to its length."""
        found = []
        for k, (projected, coupling) in enumerate(self._cut()):
            quadrature = self.quadrature[k] if self.quadrature else _ritz(projected, coupling)
            basis = self.basis[k, : len(projected)]
            found.append(
                Lanczos(basis, projected, coupling, self.vector[k], quadrature, self.products)
            )
        return found

    def _cut(self) -> list[tuple[Tensor, float]]:
        """Projected matrix and coupling of every run, up to where it ended."""
        lengths = self.ended.clamp(max=self.held).tolist()
        projected, beta = self.projected.cpu(), self.beta.tolist()
        return [(projected[k, :m, :m], beta[k]) for k, m in enumerate(lengths)]


def _ritz(projected: Tensor, coupling: float) -> Ritz:
    if not projected.isfinite().all():  # a matrix of NaN or inf has NaN for eigenvalues
        unknown = torch.full((len(projected),), torch.nan, dtype=projected.dtype)
        return Ritz(unknown, unknown, unknown, torch.eye(len(projected), dtype=projected.dtype))
    values, vectors = torch.linalg.eigh(projected)
    return Ritz(values, vectors[0] ** 2, (coupling * vectors[-1]).abs(), vectors)
