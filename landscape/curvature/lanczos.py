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
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from landscape.curvature.operator import Operator


@dataclass(frozen=True)
class Lanczos:
    """Decomposition from one start vector."""

    basis: Tensor  # (steps, P), orthonormal rows, operator's dtype and device
    alpha: Tensor  # (steps,), diagonal of T, float64, CPU
    beta: Tensor  # (steps,), off-diagonal of T; the last one couples to what was left out
    first_product: Tensor  # (P,), H q₁

    @property
    def steps(self) -> int:
        """Dimension of the Krylov space."""
        return len(self.alpha)

    def tridiagonal(self) -> Tensor:
        """Return T (steps, steps), float64."""
        off = torch.diag(self.beta[:-1], 1)
        return torch.diag(self.alpha) + off + off.mT

    def ritz(self) -> "Ritz":
        """Return all Ritz values, ascending, with weights and residuals."""
        values, vectors = torch.linalg.eigh(self.tridiagonal())
        return Ritz(values, vectors[0] ** 2, (self.beta[-1] * vectors[-1]).abs(), vectors)


@dataclass(frozen=True)
class Ritz:
    """Eigenpairs of T, ascending."""

    values: Tensor  # (steps,)
    weights: Tensor  # (steps,), sum 1
    residuals: Tensor  # (steps,), |β_m s_m|
    vectors: Tensor  # (steps, steps), columns; basis.T @ column is the Ritz vector


def random_probes(operator: Operator, count: int, generator: torch.Generator) -> Tensor:
    """Draw Rademacher vectors of unit norm, (P, count).

    Args:
        operator: gives size, dtype and device.
        count: number of vectors.
        generator: CPU generator; the draw does not depend on the device.
    """
    signs = torch.randint(0, 2, (operator.size, count), generator=generator, dtype=torch.int8)
    return (2 * signs - 1).to(operator.device, operator.dtype) / operator.size**0.5


def lanczos(operator: Operator, starts: Tensor, steps: int) -> list[Lanczos]:
    """Run Lanczos from each column of ``starts``, sharing every pass over the data.

    Args:
        operator: symmetric, size P.
        starts: (P, k) non-zero start vectors.
        steps: products a start, at most; never more than P.

    Returns:
        One decomposition a start; shorter than ``steps`` where an invariant subspace was found.
    """
    steps, probes = min(steps, operator.size), starts.shape[1]
    basis = starts.new_zeros((probes, steps, operator.size))
    alpha, beta = torch.zeros((2, probes, steps), dtype=torch.float64, device=starts.device)
    vector = (starts / torch.linalg.vector_norm(starts, dim=0)).T.contiguous()
    scale = torch.zeros(probes, dtype=torch.float64, device=starts.device)
    first = torch.zeros_like(vector)
    floor = 10 * torch.finfo(operator.dtype).eps
    for j in range(steps):
        basis[:, j] = vector
        product = operator.matmat(vector.T).T
        first = product if j == 0 else first
        alpha[:, j] = _dot(vector, product)
        residual = _orthogonalise(product, basis[:, : j + 1])
        norm = torch.linalg.vector_norm(residual.double(), dim=1)
        previous = beta[:, j - 1] if j else torch.zeros_like(norm)
        scale = torch.maximum(scale, alpha[:, j].abs() + norm + previous)
        alive = norm > floor * scale
        beta[:, j] = torch.where(alive, norm, 0.0)
        inverse = torch.where(alive, 1 / norm, 0.0)
        vector = (residual.double() * inverse[:, None]).to(operator.dtype)
        if not alive.any():
            break
    return [_cut(basis[k], alpha[k].cpu(), beta[k].cpu(), first[k]) for k in range(probes)]


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a.double() * b.double()).sum(dim=1)


def _orthogonalise(vectors: Tensor, basis: Tensor) -> Tensor:
    """Project ``vectors`` (k, P) off the rows of ``basis`` (k, j, P), twice."""
    for _ in range(2):
        coefficients = torch.bmm(basis, vectors[:, :, None])
        vectors = vectors - torch.bmm(coefficients.mT, basis)[:, 0]
    return vectors


def _cut(basis: Tensor, alpha: Tensor, beta: Tensor, first: Tensor) -> Lanczos:
    """Cut a run at its breakdown: the first β that is zero."""
    ended = (beta == 0).nonzero()
    steps = int(ended[0]) + 1 if len(ended) else len(alpha)
    return Lanczos(basis[:steps], alpha[:steps], beta[:steps], first)
