"""Origin of a result: the root attributes of its file. No tensor library is imported here."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

SCHEMA = "tailscape/1"


@dataclass(frozen=True)
class Provenance:
    """Origin of a result: the root attributes of its file."""

    analysis: str
    checkpoint: str
    config: dict[str, Any]  # the resolved configuration, stored as JSON
    created: str  # ISO 8601, UTC
    seed: int
    dtype: str
    device: str
    torch: str
    weights_sha256: str
    data_sha256: str
    bn_mode: str
    loss: str
    seconds: float
    schema: str = SCHEMA

    def attributes(self) -> dict[str, Any]:
        """Convert to attributes of plain types, the configuration to JSON."""
        found = asdict(self)
        return found | {"config": json.dumps(found["config"])}


@dataclass(frozen=True)
class RunOrigin:
    """Origin of a run's checkpoint, as result files state it."""

    run: str  # name of the folder
    plan: dict[str, Any]  # resolved configuration of the training
    data_sha256: str  # of the training data


def external_plan(method: str, data: str, class_counts: Sequence[int]) -> dict[str, Any]:
    """Stand in for a training's configuration, so that figures and tables can name the subject.

    Args:
        method: how figures name the checkpoint's model.
        data: how they name its data.
        class_counts: training samples of each class (K,).

    Returns:
        The entries of a stored plan that are known; seed, recipe and settings are not.
    """
    present = [count for count in class_counts if count > 0]
    return {
        "method": method,
        "data": data,
        "imbalance": max(present) / min(present),
        "model": method,
        "recipe": {},
        "settings": {},
        "seed": None,
        "reweighting_epoch": None,
    }
