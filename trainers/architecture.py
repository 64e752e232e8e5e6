"""The network of a run, as plain values that rebuild it."""

from dataclasses import dataclass

from trainers.config import Plan
from trainers.data.catalogue import LongTailedData
from trainers.models.catalogue import build_model
from trainers.models.heads import HeadName
from trainers.models.network import Network


@dataclass(frozen=True)
class Architecture:
    """Describe the network of a checkpoint."""

    model: str
    num_classes: int
    channels: int
    head: HeadName
    scale: float
    contrast: bool = False
    prototype_norm: bool = False

    def build(self) -> Network:
        """Build the network with random weights."""
        return build_model(
            self.model,
            self.num_classes,
            self.channels,
            self.head,
            self.scale,
            contrast=self.contrast,
            prototype_norm=self.prototype_norm,
        )


def architecture_of(plan: Plan, data: LongTailedData) -> Architecture:
    """Derive the network from a plan and its data."""
    loss = plan.parsed.parts["loss"]
    scale = float(plan.settings["loss"].get("scale", 1.0)) if loss.head == "cosine" else 1.0
    return Architecture(
        plan.model,
        len(data.class_names),
        data.channels,
        loss.head,
        scale,
        contrast=loss.views > 1,
        prototype_norm=plan.settings["loss"].get("prototype_norm") == "yes",
    )
