"""The interface of a classifier: stages, penultimate features, a head."""

from torch import Tensor, nn

from trainers.models.contrastive import Contrast
from trainers.models.heads import Head
from trainers.models.projection import Projection


class Network(nn.Module):
    """Split a classifier into shared stages, the last stage and a head.

    Attributes:
        head: classifier on the penultimate features.
        contrast: projection and prototypes of contrastive training, where there are any.
    """

    head: Head
    contrast: Contrast | Projection | None

    def shared(self, x: Tensor) -> Tensor:
        """Run all stages but the last."""
        raise NotImplementedError

    def last(self, shared: Tensor) -> Tensor:
        """Run the last stage; return penultimate features (B, D)."""
        raise NotImplementedError

    def last_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the last stage."""
        raise NotImplementedError

    @property
    def last_stage(self) -> nn.Sequential:
        """Return the blocks of the last stage, whose outputs are averaged over the image."""
        raise NotImplementedError

    def features(self, x: Tensor) -> Tensor:
        """Return penultimate features (B, D)."""
        return self.last(self.shared(x))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, K)."""
        logits: Tensor = self.head(self.features(x))
        return logits
