"""Every analysis on one subject, quickly; those that need another checkpoint get the subject's."""

from landscape.analyses.catalogue import ANALYSES as CATALOGUE
from landscape.config import (
    PathConfig,
    SharpnessConfig,
    SimilarityConfig,
    SpectrumConfig,
    SurfaceConfig,
)
from landscape.subject.evaluation_copy import unwrapped

ANALYSES = tuple(entry.name for entry in CATALOGUE.values())
NO_LOSSES = ("accuracy", "features", "similarity")
OF_LOSSES = tuple(name for name in ANALYSES if name not in NO_LOSSES)
STEPS = SpectrumConfig(steps=8, probes=1)
SETTINGS = {
    "spectrum": STEPS,
    "surface": SurfaceConfig(points=3),
    "similarity": SimilarityConfig(("cka",), draws=1, components=1),
    "sharpness": SharpnessConfig(draws=1, perturbed="all"),
    "path": PathConfig(points=3),
}


def analyse(name, subject, settings=None, **given):
    """Run an analysis by its name, with settings in place of the quick ones."""
    known = SETTINGS if settings is None else SETTINGS | settings
    options = {"settings": known[name]} if name in known else {}
    if name in ("spikes", "stability"):
        options["spectrum"] = known["spectrum"]
    if name == "path":
        options["to"] = {"itself": unwrapped(subject.model).state_dict()}
    return CATALOGUE[name].load()(subject, **options, **given)
