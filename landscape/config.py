"""Settings of the analyses and of a diagnosis. No tensor library is imported here."""

import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from landscape.errors import InputError, Setting
from landscape.groups import SplitName

T = TypeVar("T")


def at_least(least: float, default: T) -> T:
    """Declare a setting with its least value; of a tuple, its least length."""
    declared: T = field(default=default, metadata={"least": least})
    return declared


@dataclass(frozen=True)
class SpectrumConfig:
    """Settings of the Hessian spectrum."""

    steps: int = at_least(1, 100)
    """Lanczos steps of a probe, at most (100: Rangwani et al. 2022)."""
    probes: int = at_least(1, 2)
    """Lanczos runs from independent random starts; the density's band is their spread."""
    trace_probes: int = at_least(0, 20)
    """Random vectors for the part of the trace that the Lanczos basis does not hold; with 0 the
    trace is the rough one that the Lanczos starts give at no cost."""
    tolerance: float = at_least(0, 1e-3)
    """Stop when the error bounds of both ends are within this share of max(|λmin|, |λmax|); 0 takes
    all steps."""
    curvature: Literal["hessian", "ggn", "fisher", "empirical-fisher", "difference"] = "hessian"
    """Hessian, generalised Gauss-Newton, Fisher by the model's own probabilities or by the labels
    alone, or the first minus the second."""
    parameters: tuple[str, ...] = ("*",)
    """Names or globs of the parameters the matrix is over, such as layer3.*"""
    blocks: bool = False
    """Judge the diagonal blocks, one a module, each by itself: a row for every scope and layer."""
    weight_decay: float = 0.0
    """Adds this times the identity: the curvature of the training's L2 penalty."""
    memory_budget: float = at_least(0, 4.0)
    """GiB for first-order graphs, kept and passing, and the Lanczos basis, which takes half at
    most but eight vectors a run; batches are made smaller, with a warning, where one would not fit.
    0 keeps no graph and sets no bound."""
    basis: Literal["device", "host"] = "device"
    """Where the Lanczos basis lies: beside the network, within the budget and compressed where it
    would not fit, or whole in the host's memory, outside the budget (from some 67 million
    parameters on)."""
    warm_start: bool = False
    """Over several checkpoints, add a Lanczos run that starts from the extreme vectors of the
    checkpoint before; the same residual test decides when to stop."""
    allow_nondeterministic: bool = False
    """Go on, and mark the file, when the same product comes out differently the second time."""


@dataclass(frozen=True)
class SurfaceConfig:
    """Settings of loss surfaces."""

    directions: Literal["random", "checkpoints", "pca", "hessian"] = "random"
    """Random; through other checkpoints; the trajectory's main ones; extreme Hessian vectors."""
    normalisation: Literal["filter", "layer", "none"] = "filter"
    """How random directions are scaled to the weights (filter: Li et al. 2018)."""
    vectors: bool = False
    """Include biases and BatchNorm in random directions."""
    dimensions: Literal[1, 2] = 2
    """A line or a plane."""
    points: int = at_least(2, 51)
    """Points along the first direction (51: Li et al. 2018)."""
    points_y: int | None = at_least(1, None)
    """Points along the second. Default: as many."""
    x: tuple[float, float] = (-1.0, 1.0)
    """Least and largest step along the first direction."""
    y: tuple[float, float] = (-1.0, 1.0)
    """Least and largest step along the second."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of random directions; each is a surface of its own."""
    statistics: Literal["fixed", "recomputed"] = "fixed"
    """BatchNorm's running statistics as stored, or recomputed at each point; those stored are the
    centre's, also where directions lead to another checkpoint, whose loss is then not reached. The
    same holds for the singular vectors that spectral norms keep."""
    through: tuple[str, ...] = ()
    """Checkpoints of directions = checkpoints: names such as best or 50, or RUN:NAME."""
    scope: str = "overall"
    """Scope of directions = hessian."""
    refine: tuple[float, ...] = ()
    """Contours that are followed to the grid's full fineness, as multiples of each scope's least
    loss: 2 follows the basins' borders; elsewhere every eighth point is computed. Default: all."""
    at_once: int = at_least(1, 1)
    """Grid points in one forward pass, where the model allows it; pays for tiny models alone."""
    trajectory: bool = True
    """Whether the run's other checkpoints are projected on the plane."""
    marks: tuple[Path, ...] = ()
    """Runs whose last checkpoint is marked on the plane, such as one trained on the tail alone."""

    @property
    def bn_mode(self) -> str:
        """BatchNorm's mode where these settings choose it, else an empty text."""
        return "recomputed" if self.statistics == "recomputed" else ""

    @property
    def suffix(self) -> str:
        """End of the name of the results' folder; empty for random directions of seed 0."""
        kind = "" if self.directions == "random" else f"-{self.directions}"
        return kind + (f"-seed{self.seeds[0]}" if self.seeds[0] else "")


@dataclass(frozen=True)
class GradientsConfig:
    """Settings of class gradients."""

    parameters: tuple[str, ...] = ("*",)
    """Names or globs of the parameters, such as layer3.*; all of them in mini-batches."""
    batches: int = at_least(0, 0)
    """Mini-batches to average over; 0 takes each class's whole data, in eval mode."""
    mode: Literal["train", "eval"] = "train"
    """BatchNorm of mini-batches."""
    direction: bool = False
    """Compare with what the method's rule follows on each mini-batch, too."""
    memory_budget: float = at_least(0, 8.0)
    """GiB of class gradients held at once; where not all fit, the data are read once for each block
    of the parameters that does."""

    @property
    def bn_mode(self) -> str:
        """BatchNorm's mode where these settings choose it, else an empty text."""
        return {"train": "batch", "eval": "eval"}[self.mode] if self.batches else ""


@dataclass(frozen=True)
class FeaturesConfig:
    """Settings of penultimate features."""

    data: Literal["train", "test"] = "train"
    """Which images; the released feature-quality code took the test set."""
    variance_weight: float = 0.5
    """β of the feature quality (GKP-GSA, Sec. 7.2)."""
    embedding: int = at_least(0, 0)
    """Samples of a class, at most, that t-SNE places; 0 leaves it out."""


@dataclass(frozen=True)
class SimilarityConfig:
    """Settings of the similarity of representations."""

    measures: tuple[str, ...] = ("cca", "svcca", "pwcca", "cka")
    """Which: cca, svcca, pwcca, cka."""
    data: Literal["train", "test"] = "test"
    """Which images."""
    components: int | None = at_least(1, None)
    """Principal components kept of the features before comparing. Default: all."""
    draws: int = at_least(1, 5)
    """Repetitions of the class-balanced draw."""
    against: str | None = None
    """Compare each class with itself at this checkpoint, image by image."""


@dataclass(frozen=True)
class SharpnessConfig:
    """Settings of sharpness."""

    ratios: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
    """Lengths of random noise in units of the weights' norm."""
    draws: int = at_least(1, 5)
    """Random directions."""
    perturbed: Literal["classifier", "all"] = "classifier"
    """Which parameters (classifier: CC-SAM Fig. 1)."""
    radius: float = at_least(0, 0.05)
    """Length of the ascents."""
    steps: int = at_least(1, 5)
    """Steps of the longer ascent."""


@dataclass(frozen=True)
class SpikesConfig:
    """Settings of the outlier eigenvalues."""

    vectors: int | None = at_least(1, None)
    """How many of the uppermost eigenvectors. Default: as many as classes (Gur-Ari et al. 2018)."""
    against: str | None = None
    """Compare the span of these vectors with that at this checkpoint."""


@dataclass(frozen=True)
class PathConfig:
    """Settings of the path between two checkpoints."""

    to: str | None = None
    """The other end: a name such as best or 50, RUN:NAME, or RUN for its last checkpoint."""
    points: int = at_least(3, 25)
    """Points from one end to the other (25: Frankle et al. 2020 took 30)."""
    align: Literal["weights", "activations", "none"] = "weights"
    """Permute the units of the other end first, by weights (Ainsworth et al. 2023) or by the
    correlation of activations (Li et al. 2016); the plain line is computed as well."""
    curve: int = at_least(0, 0)
    """Steps of Adam that train the bend of a curve of low loss (Garipov et al. 2018); 0: none."""
    rate: float = 0.01
    """Learning rate of these."""
    statistics: int = at_least(2, 1024)
    """Samples that BatchNorm's statistics are recomputed from at each point, drawn from all of
    them; where there are no more, from those judged."""
    data: Literal["train", "test"] = "train"
    """Which images."""


@dataclass(frozen=True)
class StabilityConfig:
    """Settings of the edge of stability."""

    learning_rate: float | None = at_least(0, None)
    """Step η. Default: that of the training in the epoch before the checkpoint."""
    momentum: float | None = at_least(0, None)
    """Momentum β. Default: that of the training, or 0."""
    rho: float | None = at_least(0, None)
    """SAM's radius. Default: that of the training, where its rule has one."""


@dataclass(frozen=True)
class GradientNoiseConfig:
    """Settings of the noise of gradients."""

    parts: int = at_least(2, 16)
    """Micro-batches of a class, at most as many as it has samples."""
    batch: int | None = at_least(1, None)
    """Samples of the mini-batch compared with. Default: that of the training."""


@dataclass(frozen=True)
class DiagnoseConfig:
    """Settings of a diagnosis."""

    analyses: tuple[str, ...] = at_least(1, ("spectrum", "accuracy"))
    """Which analyses to run, comma-separated."""
    checkpoints: str = "last"
    """last, best, all, epochs such as 10,50,160, or steps such as step_50."""
    scopes: tuple[str, ...] = at_least(1, ("overall", "head", "mid", "tail", "classes"))
    """Sets of samples to speak of: overall, head, mid, tail, classes, or single ones by their index
    or name (class/3, class/cat)."""
    samples_per_class: int | None = at_least(1, None)
    """Use at most this many training samples of a class, drawn at random with seed; groups
    stay weighted by the true class frequencies. Default: all."""
    protocol: Literal["exact", "saddle"] = "exact"
    """How spectra are computed; saddle repeats the released Saddle-LongTail analysis (augmentation
    re-drawn at every product, one probe, 100 steps, batches of 128 and their own averages, no
    residuals), for comparison."""
    split: SplitName | None = None
    """Which split defines head, mid and tail. Default: by index if the classes are in order."""
    spectrum: SpectrumConfig = SpectrumConfig()
    """Settings of the Hessian spectrum."""
    surface: SurfaceConfig = SurfaceConfig()
    """Settings of loss surfaces."""
    gradients: GradientsConfig = GradientsConfig()
    """Settings of class gradients."""
    features: FeaturesConfig = FeaturesConfig()
    """Settings of penultimate features."""
    similarity: SimilarityConfig = SimilarityConfig()
    """Settings of the similarity of representations."""
    sharpness: SharpnessConfig = SharpnessConfig()
    """Settings of sharpness."""
    spikes: SpikesConfig = SpikesConfig()
    """Settings of the outlier eigenvalues."""
    path: PathConfig = PathConfig()
    """Settings of the path between two checkpoints."""
    stability: StabilityConfig = StabilityConfig()
    """Settings of the edge of stability."""
    gradient_noise: GradientNoiseConfig = GradientNoiseConfig()
    """Settings of the noise of gradients."""
    added: tuple[tuple[str, Any], ...] = ()
    """Settings of the analyses of other packages, each with the analysis's name."""
    eval: tuple[str, ...] = ()
    """Judge accuracy on other images too, each in a file of its own: NAME=folder:PATH, a tree
    <class>/*; NAME=imagenet-c:PATH, a tree <corruption>/<severity>/<class>/*; NAME=open:PATH, a
    tree of classes that the network does not know."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision of the model and of the products."""
    bn: Literal["eval", "batch"] = "eval"
    """BatchNorm by its running statistics, or by those of each batch."""
    logit_scale: float | None = None
    """Scale of a cosine classifier's logits; the papers' released scripts judge with 1.
    Default: the scale the model was trained with."""
    batch_size: int = at_least(1, 256)
    """Samples a forward pass; changes memory and speed, not the matrix (unless bn is batch)."""
    seed: int = 0
    """Seed of the probes and of the sample draw."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""
    data_root: Path | None = None
    """Folder of the data's files, where it is not that of the training."""
    workers: int = at_least(0, 4)
    """Decoding processes for images that are read lazily."""
    overwrite: bool = False
    """Redo results that exist."""

    def plain(self) -> dict[str, Any]:
        """Convert to plain values, as result files hold them."""
        found: dict[str, Any] = asdict(replace(self, added=()))
        del found["added"]
        found |= {name: asdict(settings) for name, settings in self.added}
        plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
        return plain

    def settings_of(self, analysis: str) -> Any:
        """Return the settings of an analysis; ``None`` of one that has none here."""
        found = dict(self.added).get(analysis, vars(self).get(analysis))
        return found if is_dataclass(found) else None

    def check(self) -> None:
        """Check that values are in range.

        Raises:
            InputError: naming the setting, its value and its range.
        """
        _check_least(self)
        if self.spectrum.trace_probes == 1:
            raise InputError(
                Setting("spectrum.trace_probes"),
                " is 1; a standard error needs at least 2, and 0 leaves the trace out",
            )
        for _, settings in self.added:
            if hasattr(settings, "check"):
                settings.check()
        if self.protocol == "saddle":
            self._check_released_protocol()

    def _check_released_protocol(self) -> None:
        """Check that nothing is given that the released protocol fixes itself."""
        plain = DiagnoseConfig()
        own = [
            f"spectrum.{n}" for n, v in vars(self.spectrum).items() if v != vars(plain.spectrum)[n]
        ]
        own += [n for n in ("bn", "batch_size") if getattr(self, n) != getattr(plain, n)]
        if own:
            raise InputError(
                Setting(own[0]),
                " is given, and ",
                Setting("protocol"),
                " saddle has its own (one probe of 100 steps on the Hessian, BatchNorm in eval "
                "mode, batches of 128); leave ",
                Setting(own[0]),
                " out",
            )


def _check_least(settings: Any, table: str = "") -> None:
    """Check the least values that settings declare, and those of the tables in them."""
    for declared in fields(settings):
        path, given = f"{table}{declared.name}", getattr(settings, declared.name)
        least = declared.metadata.get("least")
        if is_dataclass(given):
            _check_least(given, f"{path}.")
        elif least is not None and given is not None:
            given = len(given) if isinstance(given, tuple) else given
            if not given >= least:
                raise InputError(Setting(path), f" is {given}; it must be at least {least}")
