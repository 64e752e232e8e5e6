"""What a diagnosis is asked to do. No tensor library is imported here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from landscape.errors import InputError, unknown
from landscape.groups import SplitName

ANALYSES = {
    "spectrum": "Hessian of each scope: both spectrum ends, trace, density, verdict",
    "accuracy": "confusion matrix on the test set, accuracy of each class and group",
}


@dataclass(frozen=True)
class SpectrumConfig:
    """Settings of the Hessian spectrum."""

    steps: int = 100
    """Lanczos steps of a probe, at most (100: Rangwani et al. 2022)."""
    probes: int = 2
    """Lanczos runs from independent random starts; the density's band is their spread."""
    trace_probes: int = 16
    """Random vectors for the part of the trace that the Lanczos basis does not hold."""
    tolerance: float = 1e-3
    """Stop when the error bounds of both ends are within this share of max(|λmin|, |λmax|); 0 takes
    all steps."""
    curvature: Literal["hessian", "ggn", "difference"] = "hessian"
    """Hessian, generalised Gauss-Newton, or the first minus the second."""
    parameters: tuple[str, ...] = ("*",)
    """Names or globs of the parameters the matrix is over, such as layer3.*"""
    blocks: bool = False
    """Keep only the diagonal blocks, one a module: the curvature without that between layers."""
    weight_decay: float = 0.0
    """Adds this times the identity: the curvature of the training's L2 penalty."""
    memory_budget: float = 4.0
    """GiB for first-order graphs, kept and passing, and the Lanczos basis, which takes half at
    most; batches are made smaller where one would not fit. 0 keeps no graph."""
    warm_start: bool = False
    """Over several checkpoints, add a Lanczos run that starts from the extreme vectors of the
    checkpoint before; the same residual test decides when to stop."""
    allow_nondeterministic: bool = False
    """Go on, and mark the file, when the same product comes out differently the second time."""


@dataclass(frozen=True)
class DiagnoseConfig:
    """How checkpoints are diagnosed."""

    analyses: tuple[str, ...] = ("spectrum", "accuracy")
    """Which analyses to run, comma-separated."""
    checkpoints: str = "last"
    """last, best, all, or epochs such as 10,50,160."""
    scopes: tuple[str, ...] = ("overall", "head", "mid", "tail", "classes")
    """Sets of samples to speak of: overall, head, mid, tail, classes, or single ones (class/3)."""
    samples_per_class: int | None = None
    """Use at most this many training samples of a class, drawn at random with seed; groups
    stay weighted by the true class frequencies. Default: all."""
    protocol: Literal["exact", "saddle"] = "exact"
    """How spectra are computed; saddle repeats the released Saddle-LongTail analysis (augmentation
    re-drawn at every product, one probe, no residuals), for comparison."""
    split: SplitName | None = None
    """Which split defines head, mid and tail. Default: by index if the classes are in order."""
    spectrum: SpectrumConfig = SpectrumConfig()
    """Settings of the Hessian spectrum."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision of the model and of the products."""
    bn: Literal["eval", "batch"] = "eval"
    """BatchNorm by its running statistics, or by those of each batch."""
    logit_scale: float | None = None
    """Scale of a cosine classifier's logits; the papers' released scripts judge with 1.
    Default: the scale the model was trained with."""
    batch_size: int = 256
    """Samples a forward pass; changes memory and speed, not the matrix (unless bn is batch)."""
    seed: int = 0
    """Seed of the probes and of the sample draw."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""
    data_root: Path | None = None
    """Folder of the data's files, where it is not that of the training."""
    workers: int = 4
    """Decoding processes for images that are read lazily."""
    overwrite: bool = False
    """Redo results that exist."""

    def check(self) -> None:
        """Refuse values out of range.

        Raises:
            InputError: naming the option, what was given and what it needs.
        """
        for name in self.analyses:
            if name not in ANALYSES:
                raise unknown("analysis", name, ANALYSES)
        least = {
            "analyses": (len(self.analyses), 1),
            "scopes": (len(self.scopes), 1),
            "steps": (self.spectrum.steps, 1),
            "probes": (self.spectrum.probes, 1),
            "trace-probes": (self.spectrum.trace_probes, 2),
            "tolerance": (self.spectrum.tolerance, 0),
            "memory-budget": (self.spectrum.memory_budget, 0),
            "batch-size": (self.batch_size, 1),
            "workers": (self.workers, 0),
            "samples-per-class": (
                1 if self.samples_per_class is None else self.samples_per_class,
                1,
            ),
        }
        for option, (given, needed) in least.items():
            if not given >= needed:
                raise InputError(f"--{option} is {given}; it must be at least {needed}")
