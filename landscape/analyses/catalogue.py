"""What the analyses depend on.

No tensor library is imported here.
"""

from collections.abc import Mapping
from typing import Any

_COMMON = ("dtype", "logit_scale")
_OWN = {
    "spectrum": ("scopes", "samples_per_class", "split", "spectrum", "bn", "seed", "protocol"),
    "accuracy": ("split", "bn"),
    "surface": ("samples_per_class", "split", "surface", "seed", "spectrum", "batch_size"),
    "gradients": ("samples_per_class", "gradients", "seed"),
    "features": ("features", "split", "seed"),
    "similarity": ("similarity", "split", "seed"),
    "sharpness": ("scopes", "samples_per_class", "split", "sharpness", "seed"),
}


def differing_settings(
    analysis: str, stored: Mapping[str, Any], asked: Mapping[str, Any]
) -> list[str]:
    """List the settings that matter to an analysis and in which two diagnoses differ.

    Args:
        analysis: its name, or that of its results' folder, such as ``spectrum-saddle``.
        stored: ``diagnose`` of a result's stored configuration.
        asked: the same of what is asked for, as JSON gives it back.

    Returns:
        Names, in the order of the configuration.
    """
    own = {*_COMMON, *_OWN[analysis.partition("-")[0]]}
    if "surface" in own and asked["surface"]["directions"] != "hessian":
        own.remove("spectrum")
    if asked["bn"] == "batch" and "bn" in own:
        own.add("batch_size")
    return [name for name in asked if name in own and stored.get(name) != asked[name]]
