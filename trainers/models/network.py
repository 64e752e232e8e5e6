"""The interface of a classifier: stages, penultimate features, a head."""

from torch import Tensor, nn

from landscape.errors import unknown
from trainers.models.contrastive import Contrast
from trainers.models.heads import Head
from trainers.models.projection import Projection


def parameter_count(model: nn.Module) -> int:
    """Count the parameters of a network or of a part of one."""
    return sum(p.numel() for p in model.parameters())


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

    def fine_tuned(self) -> list[nn.Parameter]:
        """Return the parameters that training the whole network changes."""
        return list(self.parameters())

    @property
    def halves(self) -> int:
        """Return the number of batches that stand in one, of which features are made together."""
        return 1

    @property
    def last_stage(self) -> nn.Sequential:
        """Return the blocks of the last stage, whose outputs are averaged over the image."""
        raise NotImplementedError

    def layer_parameters(self, name: str) -> list[nn.Parameter]:
        """Return the parameters of a stage such as ``layer1``.

        Raises:
            InputError: the network has no stage of that name.
        """
        stages = dict(getattr(self, "backbone", self).named_children())
        if name not in stages:
            known = [stage for stage in stages if stage.startswith("layer")]
            raise unknown(f"stage of {type(self).__name__}", name, known)
        return list(stages[name].parameters())

    def features(self, x: Tensor) -> Tensor:
        """Return penultimate features (B, D)."""
        return self.last(self.shared(x))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, K)."""
        logits: Tensor = self.head(self.features(x))
        return logits
