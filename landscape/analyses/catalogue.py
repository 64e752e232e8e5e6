"""The one table of analyses: names, settings, records, functions and figures of each.

It holds names only, so that results, figures and the command line read it without importing torch.
A new analysis ``x`` is ``analyses/x.py``, ``results/x.py``, its settings in ``config.py``, a line
here and one in ``landscape/__init__.py``; to be drawn, ``figures/kinds/x.py`` and a line in
``figures/catalogue.py``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from landscape.config import (
    DiagnoseConfig,
    FeaturesConfig,
    GradientNoiseConfig,
    GradientsConfig,
    PathConfig,
    SharpnessConfig,
    SimilarityConfig,
    SpectrumConfig,
    SpikesConfig,
    StabilityConfig,
    SurfaceConfig,
)
from landscape.errors import unknown
from landscape.results.plugins import Table, located


@dataclass(frozen=True)
class Analysis:
    """An analysis: from a subject and settings to a result record.

    ``analyses.x:x`` computes, ``results.x:X`` is returned, ``results/x/*.h5`` lies on disk.
    """

    name: str
    summary: str
    figures: tuple[str, str]  # kinds that show one checkpoint, and several
    options: tuple[str, ...]  # fields of DiagnoseConfig that the function takes
    inputs: tuple[str, ...] = ()  # further keyword arguments: checkpoints, data, unfinished records
    settings: type | None = None  # a frozen dataclass; ours stand in landscape.config
    depends_also_on: tuple[str, ...] = ()  # settings that its numbers depend on besides
    function: str = ""  # MODULE:NAME, where it is not called as the analysis
    record: str = ""  # likewise

    @property
    def depends_on(self) -> frozenset[str]:
        """Fields of DiagnoseConfig that change its numbers: options but for batches, and its own.

        The size of batches changes rounding alone, unless an analysis says otherwise.
        """
        options = {*self.options, self.name, "logit_scale"} - {"batch_size"}
        return frozenset(options | {*self.depends_also_on})

    def load(self) -> Callable[..., Any]:
        """Import its function."""
        place = self.function or f"landscape.analyses.{self.name}:{self.name}"
        function: Callable[..., Any] = located(place)
        return function

    def record_type(self) -> type[Any]:
        """Import its record."""
        place = self.record or f"landscape.results.{self.name}:{self.name.capitalize()}"
        record: type[Any] = located(place)
        return record


_ROUNDING_ALONE = ("at_once",)
_ALWAYS = ("dtype", "batch_size", "seed")
_ENTRIES = (
    Analysis(
        "spectrum",
        "Hessian of each scope: both spectrum ends, trace, density, verdict",
        ("spectrum", "nonconvexity"),
        ("scopes", "split", "samples_per_class", "bn", *_ALWAYS),
        ("progress", "warm_start_vectors", "kept_spectra"),
        SpectrumConfig,
        depends_also_on=("protocol",),
    ),
    Analysis(
        "accuracy",
        "confusion matrix on the test set, accuracy of each class and group, calibration",
        ("accuracy", "accuracy"),
        ("split", "bn", "dtype", "batch_size"),
        ("data", "unknown"),
        depends_also_on=("eval",),
    ),
    Analysis(
        "surface",
        "loss and accuracy of each class over a line or a plane of parameters",
        ("surface", "trajectory"),
        ("split", "samples_per_class", "spectrum", *_ALWAYS),
        ("progress", "through", "trajectory", "marks", "objective", "partial", "keep"),
        SurfaceConfig,
        depends_also_on=("batch_size",),
    ),
    Analysis(
        "gradients",
        "class gradients: similarity, conflicts, norm ratios",
        ("conflicts", "gradient-similarity"),
        ("samples_per_class", *_ALWAYS),
        ("direction",),
        GradientsConfig,
    ),
    Analysis(
        "features",
        "penultimate features: quality, neural collapse, t-SNE",
        ("feature-quality", "feature-quality"),
        ("split", *_ALWAYS),
        ("data",),
        FeaturesConfig,
    ),
    Analysis(
        "similarity",
        "CCA, SVCCA, PWCCA and CKA between classes, and of head with tail",
        ("cca", "cca"),
        ("split", *_ALWAYS),
        ("data", "against"),
        SimilarityConfig,
    ),
    Analysis(
        "sharpness",
        "loss under noise, SAM sharpness, characteristic radius, weighted class loss",
        ("noise", "class-loss"),
        ("scopes", "split", "samples_per_class", *_ALWAYS),
        ("progress",),
        SharpnessConfig,
    ),
    Analysis(
        "spikes",
        "outlier eigenvalues split by class, shares of gradients in their span, overlaps of spans",
        ("spikes", "spikes"),
        ("scopes", "split", "samples_per_class", "spectrum", *_ALWAYS),
        ("progress", "against", "kept_spectra"),
        SpikesConfig,
    ),
    Analysis(
        "path",
        "loss and accuracy between two checkpoints or runs, the barrier of every class",
        ("path", "path"),
        ("split", "samples_per_class", *_ALWAYS),
        ("progress", "data", "to"),
        PathConfig,
        depends_also_on=("batch_size",),
    ),
    Analysis(
        "stability",
        "sharpness of each scope against the training's step and SAM's, gradients and steps along "
        "extreme eigenvectors",
        ("stability", "stability"),
        ("scopes", "split", "samples_per_class", "spectrum", *_ALWAYS),
        ("progress", "trained", "following", "kept_spectra"),
        StabilityConfig,
    ),
    Analysis(
        "gradient_noise",
        "noise scale of each class's gradient, whole and by layer, against a batch",
        ("gradient-noise", "gradient-noise"),
        ("split", "samples_per_class", *_ALWAYS),
        ("progress", "trained"),
        GradientNoiseConfig,
        record="landscape.results.gradient_noise:GradientNoise",
    ),
)
ANALYSES = Table("analyses", Analysis, {entry.name: entry for entry in _ENTRIES})
RELEASED_SPECTRUM = Analysis(  # made by --protocol saddle in place of the spectrum
    "spectrum-saddle",
    "the released Saddle-LongTail analysis, for comparison",
    ("protocol", "protocol"),
    ("scopes", "split", "samples_per_class", "dtype", "seed"),
    ("augmented",),
    depends_also_on=("spectrum", "bn", "protocol"),
    function="landscape.analyses.spectrum_saddle:released_spectrum",
    record="landscape.results.spectrum:Spectrum",
)

EIGENPAIRS = Analysis(  # of landscape.operator(…).eigenpairs(…)
    "eigenpairs",
    "eigenpairs at the ends of one scope's spectrum",
    ("spectrum", "nonconvexity"),
    ("scopes", "split", "samples_per_class", "bn", *_ALWAYS),
    depends_also_on=("spectrum",),
    function="landscape.analyses.operator:operator",
)
RECORDING = Analysis(  # of landscape.Recorder
    "recording",
    "course of a training: ends, gradients and the edge of stability of each record",
    ("recording", "recording"),
    ("scopes", "samples_per_class", "batch_size", "seed"),
    function="landscape.recording.recorder:Recorder",
)
_BESIDE = {entry.name: entry for entry in (RELEASED_SPECTRUM, EIGENPAIRS, RECORDING)}


def added_settings() -> dict[str, type]:
    """List the settings of the analyses that other packages add, by the analyses' names."""
    own = {item.name for item in fields(DiagnoseConfig)}
    return {
        name: entry.settings
        for name, entry in ANALYSES.items()
        if entry.settings is not None and name not in own
    }


def find_analysis(name: str) -> Analysis:
    """Look an analysis up by the name its result files give.

    Raises:
        InputError: there is none of this name.
    """
    if name in _BESIDE:
        return _BESIDE[name]
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
    # what a result of an older version does not name was left out, or stood at its default
    usual = DiagnoseConfig().plain()
    return [
        n
        for n in asked
        if n in own and _known(stored.get(n), usual.get(n)) != _known(asked[n], usual.get(n))
    ]


def _known(value: Any, usual: Any) -> Any:
    """Complete the settings of an analysis, without those that change rounding alone."""
    if not isinstance(value, Mapping):
        return value or None
    found = {**(usual if isinstance(usual, Mapping) else {}), **value}
    return {name: one or None for name, one in found.items() if name not in _ROUNDING_ALONE}
