"""Products and both ends of large networks: python -m tests.benchmarks.large [--models …].

torchvision's ResNet-50 and ViT-B/16 with fresh weights on random images, float32: a product with
the Hessian in images a second and in gradients of the plain network (curvlinops reports 253 and
2.78 of ResNet-50, batch 64 at 224 pixels, on an RTX A6000), through a kept graph and through fresh
ones; then both ends of the spectrum, with their bounds, and its density.
"""

import argparse
import resource
import time
from functools import partial

import torch
import torchvision
from rich.console import Console
from rich.table import Table

from landscape.config import SpectrumConfig
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.device import keep_freed_memory
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject
from tests.benchmarks.curvature import best_of, gradient_seconds, operator_of

CLASSES, GIB = 1000, 2**30
COLUMNS = (
    "network|parameters|product|images/s|gradients a product|λmax|at most|λmin|at least|products"
    "|seconds|peak GiB"
)


def subject_of(name: str, images: int, side: int, device: torch.device) -> Subject:
    """Build a network of torchvision, and random images of its own size."""
    torch.manual_seed(0)
    size = {"image_size": side} if name.startswith("vit") else {}
    model = torchvision.models.get_model(name, num_classes=CLASSES, **size).eval().to(device)
    inputs = torch.randn(images, 3, side, side, device=device)
    return Subject(model, TensorData(inputs, torch.randint(CLASSES, (images,))))


def peak_gib(device: torch.device) -> float:
    """The most memory so far: of tensors on a GPU, of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / GIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def row(name: str, kind: str, options: argparse.Namespace, device: torch.device) -> list[str]:
    """Measure products of one kind and the spectrum that they give."""
    subject = subject_of(name, options.images, options.side, device)
    chosen, kept = torch.arange(options.images), kind == "graph kept"
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    operator = operator_of(subject, chosen, memory_budget=options.memory if kept else 0.0)
    vector = torch.randn(operator.size, 1, device=device)
    gradient = gradient_seconds(subject, chosen)
    seconds = best_of(partial(operator.matmat, vector), options.times)
    config = SpectrumConfig(steps=options.steps, probes=1, trace_probes=0, tolerance=1e-2)
    made, started = operator.products, time.perf_counter()
    found = operator_spectrum(operator, config, torch.Generator().manual_seed(0))
    taken = time.perf_counter() - started
    ends = (found.high.value, found.highest, found.low.value, found.lowest)
    return [
        name,
        f"{operator.size:,}",
        kind,
        f"{options.images / seconds:.0f}",
        f"{seconds / gradient:.2f}",
        *(f"{end:.4g}" for end in ends),
        str(operator.products - made),
        f"{taken:.1f}",
        f"{peak_gib(device):.1f}",
    ]


def main() -> None:
    """Print the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["resnet50", "vit_b_16"])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--memory", type=float, default=60.0, help="GiB for the graph kept")
    options = parser.parse_args()
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    table = Table(title=f"{options.images} images of {options.side} pixels, {device}", box=None)
    for column in COLUMNS.split("|"):
        table.add_column(column, justify="left" if column in ("network", "product") else "right")
    for name in options.models:
        for kind in ("graph kept", "recomputed"):
            table.add_row(*row(name, kind, options, device))
            print(" ".join(str(list(column.cells)[-1]) for column in table.columns), flush=True)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
