"""The two projections of balanced contrastive learning (Zhu et al. 2022), onto one unit sphere."""

from torch import Tensor, nn
from torch.nn import functional as F

HIDDEN, DIMENSION = 512, 128


class Contrast(nn.Module):
    """Project features and classifier weights to unit vectors of 128 dimensions.

    Widths and initialisation are those of GKP-GSA's released CIFAR code.

    Args:
        in_features: W, dimension of the features.
        prototype_norm: batch-normalise the hidden layer of the prototypes over the classes, as
            BCL's and GKP-GSA's released codes do; without it the prototype of a class depends on
            its own weights alone.
    """

    def __init__(self, in_features: int, *, prototype_norm: bool = False) -> None:
        super().__init__()
        self.feature_projection = nn.Sequential(
            nn.Linear(in_features, HIDDEN),
            nn.BatchNorm1d(HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, DIMENSION),
        )
        self.prototype_projection = nn.Sequential(
            nn.Linear(in_features, HIDDEN),
            *([nn.BatchNorm1d(HIDDEN)] if prototype_norm else []),
            nn.ReLU(),
            nn.Linear(HIDDEN, DIMENSION),
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def project(self, features: Tensor) -> Tensor:
        """Map features (N, W) to unit vectors (N, 128)."""
        return F.normalize(self.feature_projection(features), dim=1)

    def prototypes(self, weight: Tensor) -> Tensor:
        """Map the classifier's weight (K, W) to unit vectors (K, 128), one a class."""
        return F.normalize(self.prototype_projection(weight), dim=1)
