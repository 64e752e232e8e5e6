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
    """Build the whole matrix (P, P) from products with the unit vectors; for small P.

    Example:
        The squared output of a linear model w·x has the Hessian 2 x xᵀ.

    >>> from landscape import Subject, TensorData
    >>> from landscape.curvature.operator import CurvatureOperator
    >>> model = torch.nn.Linear(2, 1, bias=False).double()
    >>> data = TensorData(torch.tensor([[1.0, 3.0]]).double(), torch.tensor([0]))
    >>> subject = Subject(model, data, lambda outputs, _: outputs[:, 0] ** 2)
    >>> dense(CurvatureOperator(subject, subject.select_all(), dtype=torch.float64))
    tensor([[ 2.,  6.],
            [ 6., 18.]], dtype=torch.float64)
    """
    identity = torch.eye(operator.size, dtype=operator.dtype, device=operator.device)
    return operator.matmat(identity)
