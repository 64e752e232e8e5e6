"""What a unit of work takes: passes over samples, by the parts that its analysis reports.

A product is one of the Hessian with a vector. The numbers are the most that settings allow; spectra
end earlier where their bounds are narrow enough. No tensor library is imported here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cli.units.unit import Unit
from landscape.config import DiagnoseConfig
from landscape.groups import scope_classes

GRADIENT = 3.0  # forward passes of a gradient: forward, and backward twice as long
_PRODUCT = 6.0  # of a product that keeps no graph: a gradient, and backward through it
_RELEASED_PRODUCTS = 100
_USUAL_SPIKES = 10


@dataclass(frozen=True)
class Passes:
    """Samples that pass forward, are differentiated, and are multiplied."""

    forward: float = 0.0
    gradients: float = 0.0
    products: float = 0.0

    @property
    def size(self) -> float:
        """All of them in forward passes."""
        return self.forward + GRADIENT * self.gradients + _PRODUCT * self.products

    def __add__(self, other: "Passes") -> "Passes":
        return Passes(
            self.forward + other.forward,
            self.gradients + other.gradients,
            self.products + other.products,
        )


Parts = dict[str, Passes]  # by the name that an analysis reports; "" is what it does not report


def parts_of(unit: Unit, class_counts: Sequence[int], judged: int | None = None) -> Parts:
    """Count the passes of a unit's parts.

    Args:
        unit: the analysis and its settings.
        class_counts: training samples of each class (K,).
        judged: samples of the test set. Default: as many as of training.
    """
    config = unit.config
    most = config.samples_per_class
    used = [n if most is None else min(n, most) for n in class_counts]
    classes = scope_classes(config.scopes, class_counts, config.split)
    samples = {name: float(sum(used[c] for c in members)) for name, members in classes.items()}
    if unit.analysis in _COUNTED:
        return _COUNTED[unit.analysis](config, samples, float(sum(used)))
    chosen = getattr(config.settings_of(unit.analysis), "data", "test")
    return {"": Passes(forward=judged if judged and chosen == "test" else sum(used))}


def _spectrum(config: DiagnoseConfig, samples: dict[str, float], _: float) -> Parts:
    own = config.spectrum
    products = own.probes * own.steps + own.trace_probes
    if config.protocol == "saddle":
        products = _RELEASED_PRODUCTS
    return {name: Passes(gradients=n, products=n * products) for name, n in samples.items()}


def _surface(config: DiagnoseConfig, _: dict[str, float], total: float) -> Parts:
    own = config.surface
    across = 1 if own.dimensions == 1 else own.points_y or own.points
    return {"": Passes(forward=total * own.points * across)}


def _gradients(config: DiagnoseConfig, _: dict[str, float], total: float) -> Parts:
    batches = config.gradients.batches
    return {"": Passes(gradients=batches * config.batch_size if batches else total)}


def _spikes(config: DiagnoseConfig, samples: dict[str, float], total: float) -> Parts:
    own = config.spectrum
    products = 0 if "spectrum" in config.analyses else own.probes * own.steps
    vectors = config.spikes.vectors or _USUAL_SPIKES
    once = Passes(gradients=2 * total, products=vectors * total)
    asked = {"overall": total} | {n: s for n, s in samples.items() if n.startswith("class/")}
    parts = {name: Passes(gradients=n, products=n * products) for name, n in asked.items()}
    return {"": once} | parts


def _stability(config: DiagnoseConfig, samples: dict[str, float], total: float) -> Parts:
    own = config.spectrum
    products = 0 if "spectrum" in config.analyses else own.probes * own.steps
    asked = {"overall": total} | samples
    parts = {name: Passes(gradients=n, products=n * products) for name, n in asked.items()}
    return {"": Passes(gradients=total)} | parts


def _gradient_noise(_: DiagnoseConfig, __: dict[str, float], total: float) -> Parts:
    return {"": Passes(gradients=2 * total)}


def _path(config: DiagnoseConfig, _: dict[str, float], total: float) -> Parts:
    own = config.path
    kinds = 1 + (own.align != "none") + (own.curve > 0)
    trained = Passes(gradients=float(own.curve * config.batch_size))
    # BatchNorm's statistics are recomputed at every point
    at_point = total + min(total, own.statistics)
    return {"": Passes(forward=at_point * own.points * kinds) + trained}


def _sharpness(config: DiagnoseConfig, samples: dict[str, float], total: float) -> Parts:
    own = config.sharpness
    noisy = Passes(forward=total * len(own.ratios))
    parts = {f"noise {draw + 1} of {own.draws}": noisy for draw in range(own.draws)}
    ascents = {
        name: Passes(forward=n * (own.steps + 2), gradients=n * own.steps)
        for name, n in samples.items()
    }
    return parts | ascents


_COUNTED: dict[str, Callable[[DiagnoseConfig, dict[str, float], float], Parts]] = {
    "spectrum": _spectrum,
    "surface": _surface,
    "gradients": _gradients,
    "sharpness": _sharpness,
    "spikes": _spikes,
    "path": _path,
    "gradient_noise": _gradient_noise,
    "stability": _stability,
}
