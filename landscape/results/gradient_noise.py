"""Hold the noise of the classes' gradients, as a record and as a table.

No tensor library is imported here.
"""

from dataclasses import dataclass

import numpy as np

from landscape.results.fields import Array, axes
from landscape.results.result import Result
from landscape.results.table import Columns, numbers, percent, with_error, words


@dataclass(frozen=True)
class GradientNoise(Result):
    """Spread of the samples' gradients within each class; K classes, L groups of layers."""

    class_name: Array = axes("class", path="class")  # (K,) str
    training_count: Array = axes("class")  # (K,)
    samples: Array = axes("class")  # (K,) samples used
    share: Array = axes("class")  # (K,) p_c of the mean loss
    norm: Array = axes("class")  # (K,) ‖g_c‖ of the class's mean loss
    noise: Array = axes("class")  # (K,) trace of the covariance of its samples' gradients
    noise_sem: Array = axes("class")  # (K,) over micro-batches
    distance: Array = axes("class")  # (K,) ‖g_c - g‖² to the gradient of all samples
    whole_norm: Array = axes()  # () ‖g‖
    batch: Array = axes()  # () samples of a training step, NaN where it is not known
    parts: Array = axes("class")  # (K,) micro-batches
    layer: Array = axes("layer", path="layers/name")  # (L,) str
    layer_norm: Array = axes("layer", "class", path="layers/norm")
    layer_noise: Array = axes("layer", "class", path="layers/noise")
    split: Array = axes()  # () str, the rule that defines head, mid and tail

    @classmethod
    def analysis_name(cls) -> str:
        """Name the analysis that returns such records."""
        return "gradient_noise"

    @property
    def scale(self) -> Array:
        """Noise scale tr Σ_c / ‖g_c‖² (K,): samples whose mean gradient is half noise."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Array = self.noise / self.norm**2
        return found

    @property
    def scale_sem(self) -> Array:
        """Standard error of the noise scale (K,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Array = self.noise_sem / self.norm**2
        return found

    @property
    def scale_interval(self) -> Array:
        """95 % interval of the noise scale (K, 2), of one width on a logarithmic scale."""
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.exp(1.96 * self.noise_sem / self.noise)
        found: Array = np.stack([self.scale / factor, self.scale * factor], axis=1)
        return found

    @property
    def whole_noise(self) -> float:
        """Trace of the covariance over all samples, within and between classes."""
        return float(np.nansum(self.share * (self.noise + self.distance)))

    @property
    def whole_scale(self) -> float:
        """Noise scale of all samples."""
        return self.whole_noise / float(self.whole_norm) ** 2 if self.whole_norm else np.inf

    @property
    def noise_share(self) -> Array:
        """Share of a batch's noise that comes from each class (K,); they add up to 1."""
        found: Array = self.share * (self.noise + self.distance) / self.whole_noise
        return found

    @property
    def batch_ratio(self) -> Array:
        """Samples of each class in a batch over its noise scale (K,): above 1 it is resolved."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Array = self.batch * self.share / self.scale
        return found

    def table_columns(self) -> tuple[Columns, str]:
        """Choose the columns of the record's table, and a note."""
        pairs = zip(self.scale, self.scale_sem, strict=True)
        columns = {
            "class": words(self.class_name),
            "train": words(self.training_count),
            "used": words(self.samples),
            "‖g‖": numbers(self.norm),
            "tr Σ": numbers(self.noise),
            "tr Σ/‖g‖²": [with_error(*pair) for pair in pairs],
            "in a batch": numbers(self.batch * self.share),
            "of the noise": [percent(s) for s in self.noise_share],
        }
        return columns, f"all samples: tr Σ/‖g‖² = {self.whole_scale:.4g}; ± over micro-batches"
