"""The panels of the inspector: the result each shows, and the figure that draws it."""

from dataclasses import dataclass

from figures.catalogue import FIGURES
from landscape.results.accuracy import Accuracy
from landscape.results.features import Features
from landscape.results.gradient_noise import GradientNoise
from landscape.results.gradients import Gradients
from landscape.results.load import record_types
from landscape.results.path import Path as PathRecord
from landscape.results.recording import Recording
from landscape.results.result import Result
from landscape.results.similarity import Similarity
from landscape.results.spectrum import Spectrum
from landscape.results.spikes import Spikes
from landscape.results.stability import Stability
from landscape.results.surface import Surface


@dataclass(frozen=True)
class PanelKind:
    """A kind of panel."""

    title: str
    record: type[Result]
    figure: str  # module in figures.kinds
    height: int  # pixels
    recipe: str  # key of RECIPES: the analysis that computes the result; none of a recording
    scoped: bool = False  # one picture a scope
    over_time: bool = False  # shows every checkpoint
    whole: bool = False  # from one result of the whole training, which no analysis computes
    joint: bool = False  # all runs in one picture
    by_run: bool = False  # a colour stands for a run


PANELS = {
    "spectrum": PanelKind(
        "Spectrum", Spectrum, "spectrum", 330, "spectrum", scoped=True, by_run=True
    ),
    "surface": PanelKind("Surface", Surface, "surface", 470, "surface", scoped=True),
    "basin": PanelKind("Basins by class", Surface, "basin", 470, "surface"),
    "accuracy": PanelKind(
        "Accuracy", Accuracy, "accuracy", 380, "accuracy", joint=True, by_run=True
    ),
    "confusion": PanelKind("Confusion", Accuracy, "confusion", 440, "accuracy"),
    "conflicts": PanelKind("Gradient conflicts", Gradients, "conflicts", 470, "gradients"),
    "nonconvexity": PanelKind(
        "|λmin/λmax| over training", Spectrum, "nonconvexity", 400, "spectrum", over_time=True
    ),
    "gradient-similarity": PanelKind(
        "Gradient similarity over training",
        Gradients,
        "gradient_similarity",
        400,
        "gradients",
        over_time=True,
    ),
    "feature-quality": PanelKind(
        "Feature quality over training",
        Features,
        "feature_quality",
        620,
        "features",
        over_time=True,
    ),
    "cca": PanelKind(
        "Head-tail similarity over training",
        Similarity,
        "cca",
        420,
        "similarity",
        over_time=True,
        joint=True,
        by_run=True,
    ),
    "similarity": PanelKind("Similarity of classes", Similarity, "confusion", 440, "similarity"),
    "spikes": PanelKind("Outlier eigenvalues by class", Spikes, "spikes", 620, "spikes"),
    "path": PanelKind("Path to another checkpoint", PathRecord, "path", 470, "path"),
    "stability": PanelKind(
        "Edge of stability over training", Stability, "stability", 470, "stability", over_time=True
    ),
    "recording": PanelKind(
        "Recorded training",
        Recording,
        "recording",
        420,
        "",
        over_time=True,
        whole=True,
    ),
    "gradient-noise": PanelKind(
        "Gradient noise by class", GradientNoise, "gradient_noise", 470, "gradient_noise"
    ),
    "embedding": PanelKind("Embedding", Features, "embedding", 480, "embedding"),
}
_RECORDS = record_types()
PANELS |= {  # of other packages
    name: PanelKind(
        f"{name}: {kind.summary}",
        _RECORDS[kind.shows],
        name,
        400,
        kind.shows,
        over_time=kind.over_training,
    )
    for name, kind in FIGURES.items()
    if kind.module and kind.shows in _RECORDS
}
