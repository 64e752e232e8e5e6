"""The projection of parametric contrastive learning (Cui et al. 2021), onto a unit sphere."""

from torch import Tensor, nn
from torch.nn import functional as F


class Projection(nn.Module):
    """Project features to unit vectors by a hidden layer as wide as they are.

    Args:
        in_features: W, dimension of the features.
        dimension: of the unit vectors.
    """

    def __init__(self, in_features: int, dimension: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(in_features, in_features)
        self.norm = nn.BatchNorm1d(in_features)
        self.out = nn.Linear(in_features, dimension)

    def project(self, features: Tensor) -> Tensor:
        """Map features (N, W) to unit vectors (N, D)."""
        hidden = self.hidden(features)
        # a single sample has no variance: the running one stands in
        normalised = self.norm(hidden) if len(hidden) > 1 else self._by_running(hidden)
        return F.normalize(self.out(normalised.relu()), dim=1)

    def _by_running(self, hidden: Tensor) -> Tensor:
        norm = self.norm
        return F.batch_norm(
            hidden, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
