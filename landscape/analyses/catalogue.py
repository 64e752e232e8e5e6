"""The one table of analyses: names, settings, records, functions and figures of each.

It holds names only, so that results, figures and the command line read it without importing torch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from landscape.config import (
    FeaturesConfig,
    GradientsConfig,
    SharpnessConfig,
    SimilarityConfig,
    SpectrumConfig,
    SurfaceConfig,
)
from landscape.errors import unknown


@dataclass(frozen=True)
class Analysis:
    """An analysis: from a subject and settings to a result record."""

    name: str
    summary: str
    function: str  # MODULE:NAME
    record: str  # MODULE:NAME
    figures: tuple[str, str]  # kinds that show one checkpoint, and several
    settings: type | None = None  # a class of landscape.config
    options: tuple[str, ...] = ()  # fields of DiagnoseConfig that the function takes
    inputs: tuple[str, ...] = ()  # further keyword arguments: checkpoints, data, and what is kept
    depends_also_on: tuple[str, ...] = ()  # settings that its numbers depend on besides

    @property
    def depends_on(self) -> frozenset[str]:
        """Fields of DiagnoseConfig that change its numbers: options but for batches, and its own.

        The size of batches changes rounding alone, unless an analysis says otherwise.
        """
        options = {*self.options, self.name, "logit_scale"} - {"batch_size"}
        return frozenset(options | {*self.depends_also_on})

    def load(self) -> Callable[..., Any]:
        """Import its function."""
        function: Callable[..., Any] = _located(self.function)
        return function

    def record_type(self) -> type[Any]:
        """Import its record."""
        record: type[Any] = _located(self.record)
        return record


_ALWAYS = ("dtype", "batch_size", "seed")
_SPECTRUM = Analysis(
    "spectrum",
    "Hessian of each scope: both spectrum ends, trace, density, verdict",
    "landscape.analyses.spectrum:spectrum",
    "landscape.results.spectrum:Spectrum",
    ("spectrum", "nonconvexity"),
    SpectrumConfig,
    ("scopes", "split", "samples_per_class", "bn", *_ALWAYS),
    ("progress", "warm_start_vectors"),
    ("protocol",),
)
_ACCURACY = Analysis(
    "accuracy",
    "confusion matrix on the test set, accuracy of each class and group",
    "landscape.analyses.accuracy:accuracy",
    "landscape.results.accuracy:Accuracy",
    ("accuracy", "accuracy"),
    None,
    ("split", "bn", "dtype", "batch_size"),
    ("data",),
)
_SURFACE = Analysis(
    "surface",
    "loss and accuracy of each class over a line or a plane of parameters",
    "landscape.analyses.surface:surface",
    "landscape.results.surface:Surface",
    ("surface", "trajectory"),
    SurfaceConfig,
    ("split", "samples_per_class", "spectrum", *_ALWAYS),
    ("progress", "through", "trajectory", "marks", "partial", "keep"),
    ("batch_size",),
)
_GRADIENTS = Analysis(
    "gradients",
    "class gradients: similarity, conflicts, norm ratios",
    "landscape.analyses.gradients:gradients",
    "landscape.results.gradients:Gradients",
    ("conflicts", "gradient-similarity"),
    GradientsConfig,
    ("samples_per_class", *_ALWAYS),
    ("direction",),
)
_FEATURES = Analysis(
    "features",
    "penultimate features: quality, neural collapse, t-SNE",
    "landscape.analyses.features:features",
    "landscape.results.features:Features",
    ("feature-quality", "feature-quality"),
    FeaturesConfig,
    ("split", *_ALWAYS),
    ("data",),
)
_SIMILARITY = Analysis(
    "similarity",
    "CCA, SVCCA, PWCCA and CKA between classes, and of head with tail",
    "landscape.analyses.similarity:similarity",
    "landscape.results.similarity:Similarity",
    ("cca", "cca"),
    SimilarityConfig,
    ("split", *_ALWAYS),
    ("data", "against"),
)
_SHARPNESS = Analysis(
    "sharpness",
    "loss under noise, SAM sharpness, characteristic radius, weighted class loss",
    "landscape.analyses.sharpness:sharpness",
    "landscape.results.sharpness:Sharpness",
    ("noise", "class-loss"),
    SharpnessConfig,
    ("scopes", "split", "samples_per_class", *_ALWAYS),
    ("progress",),
)
ANALYSES = {
    entry.name: entry
    for entry in (
        _SPECTRUM,
        _ACCURACY,
        _SURFACE,
        _GRADIENTS,
        _FEATURES,
        _SIMILARITY,
        _SHARPNESS,
    )
}
# made by --protocol saddle in place of the spectrum
RELEASED_SPECTRUM = Analysis(
    "spectrum-saddle",
    "the released Saddle-LongTail analysis, for comparison",
    "landscape.analyses.spectrum_saddle:released_spectrum",
    _SPECTRUM.record,
    ("protocol", "protocol"),
    None,
    ("scopes", "split", "samples_per_class", "dtype", "seed"),
    ("augmented",),
    ("spectrum", "bn", "protocol"),
)


def find_analysis(name: str) -> Analysis:
    """Look an analysis up by the name its result files give.

    Raises:
        InputError: there is none of this name.
    """
    if name == RELEASED_SPECTRUM.name:
        return RELEASED_SPECTRUM
    if name not in ANALYSES:
        raise unknown("analysis", name, ANALYSES)
    return ANALYSES[name]


def differing_settings(
    analysis: str, stored: Mapping[str, Any], asked: Mapping[str, Any]
) -> list[str]:
    """List the settings that change an analysis's numbers and in which two diagnoses differ.

    Args:
        analysis: its name.
        stored: ``diagnose`` of a result's stored configuration.
        asked: the same of the diagnosis asked for, as JSON gives it back.

    Returns:
        Names, in the order of the configuration.
    """
    own = set(find_analysis(analysis).depends_on)
    if analysis == "surface" and asked["surface"]["directions"] != "hessian":
        own.remove("spectrum")
    if asked["bn"] == "batch" and "bn" in own:
        own.add("batch_size")
    return [name for name in asked if name in own and stored.get(name) != asked[name]]


def _located(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
