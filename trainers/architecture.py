"""The network of a run, as plain values that rebuild it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from trainers.config import Plan
from trainers.data.catalogue import LongTailedData
from trainers.models.adapter import bottleneck_of
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
    projection: int = 0
    class_scale: bool = False
    bilateral: bool = False
    vision: Mapping[str, Any] | None = None  # of CLIP: how its image encoder is built
    bottleneck: int = 0  # of CLIP's adapters; 0 fine-tunes the encoder

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as checkpoints hold them: of parts added later, those there are."""
        later = {"prototype_norm", "projection", "class_scale", "bilateral", "vision", "bottleneck"}
        defaults = {f.name: f.default for f in fields(self) if f.name in later}
        return {n: v for n, v in asdict(self).items() if n not in later or v != defaults[n]}

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
            projection=self.projection,
            class_scale=self.class_scale,
            bilateral=self.bilateral,
            vision=self.vision,
            bottleneck=self.bottleneck,
        )


def architecture_of(plan: Plan, data: LongTailedData) -> Architecture:
    """Derive the network from a plan and its data."""
    parts = plan.parsed.parts
    loss = parts["loss"]
    classes, bottleneck = len(data.class_names), 0
    if plan.vision is not None and plan.tuning == "adapter":
        bottleneck = bottleneck_of(classes, int(plan.vision.get("num_hidden_layers", 12)))
    return Architecture(
        plan.model,
        classes,
        data.channels,
        "linear" if plan.cosine_scale is None else "cosine",
        plan.cosine_scale or 1.0,
        contrast=loss.views == 3,
        prototype_norm=plan.settings["loss"].get("prototype_norm") == "yes",
        projection=int(plan.settings["loss"].get("dimension", 0)),
        class_scale=parts["stages"].class_scale,
        bilateral=plan.parsed.words["sampler"] == "bilateral",
        vision=plan.vision,
        bottleneck=bottleneck,
    )
