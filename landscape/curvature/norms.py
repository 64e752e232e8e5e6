"""Norms and inner products of long vectors, whose sums lose nothing on the way."""

import torch
from torch import Tensor

SLICE = 2**17


def norm(values: Tensor, dim: int | None = None) -> Tensor:
    """Return the Euclidean norm along ``dim``, or of all entries, in float64.

    ``torch.linalg.vector_norm`` adds squares one after another on the CPU: a float32 vector of 10^7
    like entries comes out 0.7 % off, of 4·10^7 2.4 %. Sums of float64 squares are added pairwise.
    """
    squares = values.double().square()
    return (squares.sum() if dim is None else squares.sum(dim=dim)).sqrt()


def orthogonalise(vectors: Tensor, basis: Tensor) -> Tensor:
    """Project ``vectors`` (k, P) off the rows of ``basis`` (k, j, P), twice."""
    for _ in range(2):
        coefficients = _inner_products(basis, vectors).to(vectors.dtype)
        vectors = vectors - torch.bmm(coefficients.mT, basis)[:, 0]
    return vectors


def _inner_products(basis: Tensor, vectors: Tensor) -> Tensor:
    """Inner products (k, j, 1) in float64 of sums over slices.

    One product over all entries would add 10^7 terms one after another, and what rounding does to
    the sum stays in the basis, however often it is orthogonalised.
    """
    slices = zip(basis.split(SLICE, dim=2), vectors.split(SLICE, dim=1), strict=True)
    total = torch.zeros((*basis.shape[:2], 1), dtype=torch.float64, device=basis.device)
    for rows, part in slices:
        total += torch.bmm(rows, part[:, :, None])
    return total
