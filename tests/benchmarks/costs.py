"""What trainings and analyses of large data sets take, modelled: python -m tests.benchmarks.costs.

Measured is ResNet-50 on a few images of 224 pixels, in seconds of one core: forward, a gradient, a
product with the Hessian through a fresh graph. All else is counted: the passes over samples that
``diagnose --dry-run`` counts as well, with every Lanczos step taken, times these seconds. So it is
assumed that time is linear in images, that images are decoded as fast as they are used, and that
what is no pass (Gram-Schmidt, singular values, files) costs nothing beside them. Numbers of samples
are the published ones; between the largest and the smallest class they fall so that their sum is
the published one.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from rich.console import Console
from rich.table import Table

from cli.units.cost import Passes, parts_of
from cli.units.unit import Unit
from landscape.config import DiagnoseConfig
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject
from tests.benchmarks.curvature import operator_of

HOUR = 3600.0
EPOCHS = 90  # of ImageNet-LT and iNaturalist 2018 in the papers' recipes (Kang et al. 2020)
FEW = 20  # samples a class of a diagnosis that does not take all


@dataclass(frozen=True)
class DataSet:
    """Published sizes of a data set."""

    name: str
    classes: int
    training: int
    largest: int
    smallest: int
    test: int

    def counts(self) -> list[int]:
        """Samples of each class, falling from the largest to the smallest."""
        low, high = 0.01, 100.0
        for _ in range(60):
            bend = (low * high) ** 0.5
            low, high = (bend, high) if sum(self._bent(bend)) < self.training else (low, bend)
        return self._bent(low)

    def _bent(self, bend: float) -> list[int]:
        ratio, last = self.smallest / self.largest, self.classes - 1
        return [round(self.largest * ratio ** ((c / last) ** bend)) for c in range(self.classes)]


SETS = (
    DataSet("ImageNet-LT", 1000, 115_846, 1280, 5, 50_000),
    DataSet("iNaturalist 2018", 8142, 437_513, 1000, 2, 24_426),
)


@dataclass(frozen=True)
class Rates:
    """Seconds of an image."""

    forward: float
    gradient: float
    product: float

    def seconds(self, passes: Passes) -> float:
        return (
            self.forward * passes.forward
            + self.gradient * passes.gradients
            + self.product * passes.products
        )


def measured(images: int, side: int, times: int) -> Rates:
    """Measure ResNet-50 in seconds of the processor, the least of some tries."""
    torch.manual_seed(0)
    model = torchvision.models.resnet50(num_classes=1000).eval()
    data = TensorData(torch.randn(images, 3, side, side), torch.randint(1000, (images,)))
    subject = Subject(model, data)
    operator = operator_of(subject, torch.arange(images), memory_budget=0.0)
    vector = torch.randn(operator.size, 1)

    def forward() -> None:
        with torch.no_grad():
            model(data.inputs)

    def gradient() -> None:
        torch.nn.functional.cross_entropy(model(data.inputs), data.labels).backward()

    def least(work: Callable[[], object]) -> float:
        work()
        taken = []
        for _ in range(times):
            started = time.process_time()
            work()
            taken.append(time.process_time() - started)
        return min(taken) / images

    return Rates(least(forward), least(gradient), least(lambda: operator.matmat(vector)))


def rows(data: DataSet, rates: Rates) -> list[tuple[str, Passes, float]]:
    """List trainings and analyses with their passes and hours of a core."""
    counts = data.counts()
    epoch = Passes(gradients=float(sum(counts)))
    judged = Passes(forward=float(data.test))
    found = [
        (f"{EPOCHS} epochs of `ce`", _times(EPOCHS, epoch + judged)),
        (f"{EPOCHS} epochs of `ce+sam`", _times(EPOCHS, epoch + epoch + judged)),
    ]
    for analysis in ("accuracy", "features", "gradients", "surface", "spectrum"):
        for most in (None, FEW):
            config = DiagnoseConfig(analyses=(analysis,), samples_per_class=most)
            unit = Unit(Path("run"), "epoch_0090", analysis, config)
            passes = sum(parts_of(unit, counts, data.test).values(), Passes())
            suffix = "" if most is None else f", {most} samples a class"
            found.append((f"`{analysis}`{suffix}", passes))
    return [(name, passes, rates.seconds(passes) / HOUR) for name, passes in found]


def _times(count: int, passes: Passes) -> Passes:
    return sum([passes] * count, Passes())


def main() -> None:
    """Print the rates and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--times", type=int, default=2)
    options = parser.parse_args()
    rates = measured(options.images, 224, options.times)
    print(f"seconds an image: {rates}")
    table = Table(box=None)
    for column in ("data", "work", "forward", "gradients", "products", "hours of a core"):
        table.add_column(column, justify="left" if column in ("data", "work") else "right")
    for data in SETS:
        for name, passes, hours in rows(data, rates):
            numbers = (passes.forward, passes.gradients, passes.products)
            table.add_row(data.name, name, *(f"{n:,.0f}" for n in numbers), f"{hours:,.1f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
