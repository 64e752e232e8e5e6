"""Surfaces and class gradients: python -m tests.benchmarks.surface [--model resnet32].

A grid point against one plain forward pass over the same data, and against the reference procedure
as Li et al. (2018) state it, run once a class: set the weights from a direction file's tensors, one
loader pass with loss and accuracy; several points in one forward pass by vmap over the weights
(``--model mlp`` is a tiny one); and points that refinement leaves out. A path's point whose
statistics are recomputed against a plain one. All class gradients against one gradient pass. Rounds
are interleaved; medians and ratios are printed. On a CPU that others use, ``--clock processor``.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional as F

from landscape.analyses.path import drawn_for_statistics
from landscape.device import keep_freed_memory
from landscape.subject.data import TensorData
from landscape.subject.subject import Selection, Subject
from landscape.weight_space.class_gradients import class_gradients, gradients_of
from landscape.weight_space.directions import random_plane
from landscape.weight_space.evaluator import Evaluator
from landscape.weight_space.points import Points
from tests.landscape.analyses.test_surface_points import bowls
from trainers.models.catalogue import build_model


def network_of(model: str, classes: int) -> nn.Module:
    """A network of the catalogue, or a tiny perceptron."""
    if model != "mlp":
        return build_model(model, classes)
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 32), nn.ReLU(), nn.Linear(32, classes))


def subject_of(model: str, classes: int, samples: int, device: torch.device) -> Subject:
    """A network with random weights and random images: what they are costs nothing."""
    torch.manual_seed(0)
    network = network_of(model, classes).to(device).eval()
    share = 100 ** (-torch.arange(classes) / (classes - 1))
    labels = torch.multinomial(share, samples, replacement=True).sort().values
    labels[:classes] = torch.arange(classes)
    inputs = torch.randn(samples, 3, 32, 32, device=device)
    return Subject(network, TensorData(inputs, labels.sort().values))


clock = time.perf_counter


def synchronised(work: Callable[[], object]) -> float:
    """Seconds of a call."""
    started = clock()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - started


def compared(rounds: int, **works: Callable[[], object]) -> dict[str, float]:
    """Median seconds of each, taken in turn, after one call that does not count."""
    for work in works.values():
        work()
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(synchronised(work))
    return {name: statistics.median(times) for name, times in found.items()}


def grid_points(subject: Subject, batch: int, rounds: int) -> dict[str, float]:
    """A grid point of all classes, a plain pass, and the reference's runs class by class."""
    labels = subject.data.labels
    order = torch.arange(len(labels))
    selection = Selection(order, torch.full((len(order),), 1 / len(order)))
    evaluator = Evaluator(subject, selection, batch_size=batch)
    plane = random_plane(evaluator.centre, torch.Generator().manual_seed(0))
    batches = list(subject.data.batches(order, batch))
    by_class = [
        list(subject.data.batches((labels == c).nonzero().flatten(), batch))
        for c in range(subject.num_classes)
    ]

    @torch.no_grad()
    def plain() -> None:
        for inputs, targets in batches:
            F.cross_entropy(subject.model(inputs), targets)

    @torch.no_grad()
    def reference() -> None:
        for members in by_class:
            for parameter, start, one, other in zip(
                evaluator.parameters, evaluator.centre, *plane.directions, strict=True
            ):
                parameter.copy_(start + 0.3 * one - 0.2 * other)
            for inputs, targets in members:
                outputs = evaluator.model(inputs)
                F.cross_entropy(outputs, targets).item()
                outputs.argmax(dim=1).eq(targets).sum().item()

    return compared(
        rounds,
        plain=plain,
        point=lambda: evaluator.at(plane.directions, (0.3, -0.2)),
        reference=reference,
    )


def points_at_once(subject: Subject, batch: int, rounds: int) -> dict[str, float]:
    """Seconds a point, of 16 points one after the other and several at once."""
    evaluator = Evaluator(subject, subject.select_all(), batch_size=batch)
    plane = random_plane(evaluator.centre, torch.Generator().manual_seed(0))
    steps = [(0.1 * k, -0.05 * k) for k in range(1, 17)]
    works = {
        f"{size}": partial(Points(evaluator, plane.directions, size).at, steps)
        for size in (1, 4, 16)
    }
    return {size: seconds / 16 for size, seconds in compared(rounds, **works).items()}


def points_kept(points: int = 51) -> dict[str, int]:
    """Points of a plane of bowls that contours at multiples of the least losses need."""
    found = {}
    for refine in ((2.0,), (2.0, 8.0), (2.0, 4.0, 8.0, 16.0, 32.0)):
        done = bowls(points, refine).done
        found["refine " + " ".join(f"{m:g}" for m in refine)] = int(done.sum())
    return found | {"all": points * points}


def path_points(subject: Subject, batch: int, rounds: int) -> dict[str, float]:
    """A plain point, and one with BatchNorm's statistics recomputed, of all samples or a draw."""
    selection = subject.mixed(subject.select_all())
    share = 1024 / 10_847  # of CIFAR-10-LT at an imbalance of 100
    few = drawn_for_statistics(subject, selection, int(share * len(selection.indices)), 0)
    options = {"all": ("recomputed", None), "draw": ("recomputed", few), "plain": ("fixed", None)}
    works = {
        name: Evaluator(
            subject, selection, statistics=kind, moments=moments, batch_size=batch
        ).per_sample
        for name, (kind, moments) in options.items()
    }
    return compared(rounds, **works)


def all_gradients(subject: Subject, batch: int, rounds: int) -> dict[str, float]:
    """Eval mode: all class gradients against one gradient pass over the same batches' size."""
    order = torch.arange(len(subject.data.labels))
    selection = Selection(order, torch.full((len(order),), 1 / len(order)))
    parameters = list(subject.model.parameters())

    def one() -> None:
        for inputs, targets in subject.data.batches(order, batch):
            torch.autograd.grad(F.cross_entropy(subject.model(inputs), targets), parameters)

    return compared(
        rounds, one=one, all=lambda: class_gradients(subject, selection, batch_size=batch)
    )


def batch_of_gradients(
    model: str, classes: int, batch: int, rounds: int, device: torch.device
) -> dict[str, float]:
    """Train mode: all class gradients of the last stage against one gradient of the network."""
    network = build_model(model, classes).to(device).train()
    inputs = torch.randn(batch, 3, 32, 32, device=device)
    labels = torch.randint(classes, (batch,), device=device)
    parameters = list(network.parameters())

    def one() -> None:
        torch.autograd.grad(F.cross_entropy(network(inputs), labels), parameters)

    def every() -> None:
        each = F.cross_entropy(network(inputs), labels, reduction="none")
        members = F.one_hot(labels, classes).to(each).T
        present = members.sum(dim=1) > 0
        gradients_of(members[present] @ each, network.last_parameters())

    return compared(rounds, one=one, all=every)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet32")
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--classes", nargs="+", type=int, default=[10, 100])
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall")
    options = parser.parse_args()
    keep_freed_memory()
    if options.clock == "processor":
        globals()["clock"] = time.process_time
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    table = Table(title=f"{options.model}, {options.samples} images, {device}")
    for column in ("what", "classes", "seconds", "to one pass"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for classes in options.classes:
        subject = subject_of(options.model, classes, options.samples, device)
        for label, seconds, one in rows(subject, options):
            table.add_row(label, str(classes), f"{seconds:.4f}", f"{seconds / one:.2f}")
    Console(width=100).print(table)
    kept = points_kept()
    said = ", ".join(f"{name}: {count}" for name, count in kept.items())
    Console(width=100).print(f"points of a plane, by contours followed: {said}")


def rows(subject: Subject, options: argparse.Namespace) -> Iterator[tuple[str, float, float]]:
    """What is measured, its seconds, and those of the pass it is compared with."""
    batch, rounds, classes = options.batch, options.rounds, subject.num_classes
    found = grid_points(subject, batch, rounds)
    yield "grid point, all classes", found["point"], found["plain"]
    yield "reference, class by class", found["reference"], found["plain"]
    found = points_at_once(subject, batch, rounds)
    for size, seconds in found.items():
        yield f"one of {size} points at once", seconds, found["1"]
    if options.model == "mlp":
        return
    found = path_points(subject, batch, rounds)
    yield "path's point, statistics of all", found["all"], found["plain"]
    yield "path's point, statistics of a draw", found["draw"], found["plain"]
    found = all_gradients(subject, batch, rounds)
    yield "class gradients, eval", found["all"], found["one"]
    device = next(subject.model.parameters()).device
    found = batch_of_gradients(options.model, classes, 64, rounds, device)
    yield "last stage, train", found["all"], found["one"]


if __name__ == "__main__":
    main()
