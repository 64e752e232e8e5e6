"""Cost and peak memory of every analysis on many classes: python -m tests.benchmarks.scale.

ResNet-50 of torchvision (25.6 million parameters) on random images of 1,000 classes, and feature
vectors of 8,142 classes, iNaturalist 2018's number. Every case runs in a process of its own, whose
largest resident memory the operating system tells. Images are small and products few, so that it
ends on one core: memory is that of the parameters, the classes and the budgets, not of the time.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch
import torchvision
from rich.console import Console
from rich.table import Table

import landscape
from landscape.analyses.features import feature_record
from landscape.analyses.similarity import class_similarity
from landscape.device import keep_freed_memory
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject

CLASSES, SPECIES, VECTORS = 1000, 8142, 20000
GIB = 2**20  # of the kibibytes in which Linux gives the resident memory


def resnet50(images: int, side: int) -> Subject:
    """ResNet-50 on as many images a class as there are."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = torchvision.models.resnet50(num_classes=CLASSES).eval()
    inputs = torch.randn((images, 3, side, side), generator=generator)
    labels = torch.arange(images) % CLASSES
    counts = [max(1280 * 5 // (5 + c), 5) for c in range(CLASSES)]  # a long tail, for groups
    return Subject(model, TensorData(inputs, labels), class_counts=counts)


def vectors(present: int, dimension: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Feature vectors of the first so many species, at least as many each as come out even."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(VECTORS) % present
    return torch.randn(VECTORS, dimension, generator=generator, dtype=torch.float64), labels


def spectrum(subject: Subject) -> object:
    """Two products of each probe with the whole Hessian, at the default budget."""
    settings = landscape.SpectrumConfig(steps=2, trace_probes=2)
    return landscape.spectrum(subject, settings, scopes="overall")


def spectrum_of_a_class(subject: Subject) -> object:
    """A basis that fills its half of the default budget, and is compressed."""
    settings = landscape.SpectrumConfig(steps=24, tolerance=0, trace_probes=4)
    return landscape.spectrum(subject, settings, scopes="class/0")


def spectrum_on_host(subject: Subject) -> object:
    """The same with all vectors in the host's memory."""
    settings = landscape.SpectrumConfig(steps=24, tolerance=0, trace_probes=4, basis="host")
    return landscape.spectrum(subject, settings, scopes="class/0")


def gradients(subject: Subject) -> object:
    """Class gradients over all parameters, 95 GiB, in blocks within the default budget."""
    return landscape.gradients(subject)


def gradients_of_last_layers(subject: Subject) -> object:
    """The same over a quarter of the parameters, 24 GiB."""
    settings = landscape.GradientsConfig(parameters=("layer4.2.*", "fc.*"))
    return landscape.gradients(subject, settings)


def gradients_of_batches(subject: Subject) -> object:
    """Class gradients of two mini-batches, 32 classes each."""
    settings = landscape.GradientsConfig(batches=2)
    return landscape.gradients(subject, settings, batch_size=32)


def features(subject: Subject) -> object:
    """Feature quality and neural collapse."""
    return landscape.features(subject)


def similarity(subject: Subject) -> object:
    """All pairs of 250 classes by one draw; of 1,000 there would be two rows, which is too few."""
    settings = landscape.SimilarityConfig(components=1, draws=1)
    few = replace(subject, data=TensorData(subject.data.inputs, subject.data.labels % 250))
    return landscape.similarity(few, settings)


def sharpness(subject: Subject) -> object:
    """Ascents of all and of every class; one draw of noise of one length."""
    settings = landscape.SharpnessConfig(ratios=(0.1,), draws=1, steps=1)
    return landscape.sharpness(subject, settings, scopes=("overall", "classes"))


def accuracy(subject: Subject) -> object:
    """The confusion matrix."""
    return landscape.accuracy(subject)


def species_features() -> object:
    """Quality and neural collapse of 8,142 classes."""
    found, labels = vectors(SPECIES, 2048)
    names, counts = tuple(map(str, range(SPECIES))), (5,) * SPECIES
    weight, predicted = torch.randn(SPECIES, 2048), labels.roll(1)
    return feature_record(found, labels, names, counts, weight=weight, predicted=predicted)


def species_similarity() -> object:
    """All pairs of the 2,000 of 8,142 classes for which 20,000 vectors give ten rows each."""
    found, labels = vectors(VECTORS // 10, 8)
    names, counts = tuple(map(str, range(SPECIES))), (5,) * SPECIES
    return class_similarity(found, labels, names, counts, components=1, draws=1)


OF_NETWORKS: dict[str, Callable[[Subject], object]] = {
    work.__name__: work
    for work in (
        spectrum,
        spectrum_of_a_class,
        spectrum_on_host,
        gradients,
        gradients_of_last_layers,
        gradients_of_batches,
        features,
        similarity,
        sharpness,
        accuracy,
    )
}
OF_VECTORS: dict[str, Callable[[], object]] = {
    work.__name__: work for work in (species_features, species_similarity)
}


def run(case: str, images: int, side: int) -> None:
    """Run one case; print seconds, GiB at the peak, and GiB before the analysis began."""
    keep_freed_memory()
    subject = resnet50(images, side) if case in OF_NETWORKS else None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB
    started = time.process_time()  # of this process: the machine may be shared
    OF_VECTORS[case]() if subject is None else OF_NETWORKS[case](subject)
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB
    print(f"{seconds:.0f} {peak:.2f} {before:.2f}")


def main() -> None:
    """Run all cases, one process each, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", default=[*OF_NETWORKS, *OF_VECTORS])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--alone", action="store_true", help="run the one case in this process")
    options = parser.parse_args()
    if options.alone:
        run(options.cases[0], options.images, options.side)
        return
    table = Table(title=f"ResNet-50, {options.images} images of {options.side} pixels", box=None)
    for column in ("case", "processor s", "peak GiB", "before GiB"):
        table.add_column(column, justify="left" if column == "case" else "right")
    for case in options.cases:
        size = ("--images", str(options.images), "--side", str(options.side))
        command = (sys.executable, "-m", __spec__.name, "--alone", *size, "--cases", case)
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        last = (done.stdout or done.stderr).strip().splitlines()[-1]
        print(case, last, flush=True)
        table.add_row(case, *(last.split() if done.returncode == 0 else ("failed", "", "")))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
