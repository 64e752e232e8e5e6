"""Dense matrices as operators and operators as dense matrices, for small cases and references."""

import torch
from torch import Tensor

from landscape.curvature.operator import Operator


class MatrixOperator:
    """A dense symmetric matrix as an operator, for small cases and for references.

    Args:
        matrix: (P, P) symmetric.
    """

    def __init__(self, matrix: Tensor) -> None:
        self._matrix = matrix
        self.size, self.dtype, self.device = len(matrix), matrix.dtype, matrix.device
        self.products = 0

    def matmat(self, vectors: Tensor) -> Tensor:
        """Return the matrix times ``vectors`` (P, k)."""
        self.products += vectors.shape[1]
        return self._matrix @ vectors

    def fresh_matmat(self, vectors: Tensor) -> Tensor:
        """Return the same; a matrix keeps nothing."""
        return self.matmat(vectors)


def dense(operator: Operator) -> Tensor:
    """Build the whole matrix (P, P) from products with the unit vectors; for small P."""
    identity = torch.eye(operator.size, dtype=operator.dtype, device=operator.device)
    return operator.matmat(identity)
