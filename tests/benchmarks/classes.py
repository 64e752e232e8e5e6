"""Ten classes in one command against one class of as many images.

``python -m tests.benchmarks.classes`` prints the ratio of what the command takes to the products'
own share: a class costs what its images cost, where the network is prepared and tested once.
"""

import time
from dataclasses import dataclass
from statistics import median
from typing import Annotated

import torch
import tyro

from landscape import SpectrumConfig, Subject, TensorData, spectrum
from trainers.models.catalogue import build_model

_CLASSES = 10


@dataclass(frozen=True)
class Options:
    """What is measured."""

    model: str = "resnet32"
    per_class: tuple[int, ...] = (10, 50)
    """Images of each of the ten classes; the one class has all of them."""
    rounds: int = 2
    """Repetitions, interleaved; the median counts."""


def ratio(options: Options, per_class: int) -> tuple[float, float]:
    """Measure seconds of ten classes, and of one of as many images, at fixed products."""
    images, count = torch.randn(_CLASSES * per_class, 3, 32, 32), _CLASSES * per_class
    model, names = build_model(options.model, _CLASSES), [str(c) for c in range(_CLASSES)]
    labels = torch.arange(count) % _CLASSES
    ten = Subject(model, TensorData(images, labels), class_names=names)
    one = Subject(model, TensorData(images, torch.zeros_like(labels)), class_names=names)
    settings = SpectrumConfig(steps=20, trace_probes=0, tolerance=0)
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(options.rounds):
        for subject, found in zip((ten, one), seconds, strict=True):
            began = time.process_time()
            spectrum(subject, settings, scopes="classes" if subject is ten else "class/0")
            found.append(time.process_time() - began)
    return median(seconds[0]), median(seconds[1])


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> None:
    """Print a row for each number of images."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| images of each class | ten classes, s | one class of all, s | ratio |")
    print("| ---: | ---: | ---: | ---: |")
    for per_class in options.per_class:
        many, one = ratio(options, per_class)
        print(f"| {per_class} | {many:.1f} | {one:.1f} | {many / one:.2f} |", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
