"""What made a result: the root attributes of its file. No tensor library is imported here."""

import json
from dataclasses import asdict, dataclass
from typing import Any

SCHEMA = "tailscape/1"


@dataclass(frozen=True)
class Provenance:
    """What made a result: the root attributes of its file."""

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
        """Spell it as attributes of plain types, the configuration as JSON."""
        found = asdict(self)
        return found | {"config": json.dumps(found["config"])}
