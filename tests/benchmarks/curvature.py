"""Curvature against the other tools: python -m tests.benchmarks.curvature [--models resnet20].

One checkpoint, one scope, one machine; every round asks each tool once, in turn. The first one
measures the memory each takes, from a process that has given back all it had; the others the time,
whose medians are printed with the ratio to PyHessian at its defaults (λmax, trace and density; to
our own first row where it is not asked; a scope of one batch is given to it as such, so that it
keeps its graph, and once more as a loader, which is how class-wise analyses use it). Every density
is that of one probe. Errors, in units of λmax, are against a float64 run of this package to a bound
of 1e-6 and, for the density, against the quadrature of four float64 probes of 40 steps. Gradients
are those of the plain model, as PyTorch computes them; products are also counted in gradients of
the model as it is prepared for them, of which a product through a kept graph takes two at the
least. Networks are ours, ``vit-tiny`` and ``gpt``; with TAILSCAPE_CIFAR10_IMAGES the images are
CIFAR-10's, otherwise digits enlarged, and text is that of the documentation.
"""

import argparse
import ctypes
import gc
import os
import statistics
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import wasserstein_distance
from torch.nn import functional as F

from cli.commands.crosscheck_peers import PEERS, pyhessian, run_peer
from landscape.config import SpectrumConfig
from landscape.curvature.lanczos import lanczos
from landscape.curvature.operator import CurvatureOperator
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.curvature.products import DIFFERENTIABLE_ATTENTION
from landscape.curvature.sampling import random_probes
from landscape.device import keep_freed_memory
from landscape.subject.evaluation_copy import evaluation_copy
from landscape.subject.subject import Selection, Subject
from tests.benchmarks.subjects import BATCH, trained_subject

LIBC = ctypes.CDLL(None)


def operator_of(subject: Subject, chosen: torch.Tensor, **options: object) -> CurvatureOperator:
    """Operator over the mean loss of the chosen samples."""
    weights = torch.full((len(chosen),), 1 / len(chosen), dtype=torch.float64)
    return CurvatureOperator(subject, Selection(chosen, weights), batch_size=BATCH, **options)


def measured(work: Callable[[], object], *, trim: bool) -> tuple[object, float, float]:
    """Run; return the result, seconds, and the MiB by which memory grew at its peak.

    On a GPU it is the memory of tensors; on a CPU the resident memory of the process.

    With ``trim`` freed memory goes back to the system first: it would hide the growth, and faulting
    it in again would count as time.
    """
    page, stop = os.sysconf("SC_PAGE_SIZE"), threading.Event()

    def resident() -> int:
        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated()
        return int(Path("/proc/self/statm").read_text().split()[1]) * page

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    if trim and hasattr(LIBC, "malloc_trim"):
        LIBC.malloc_trim(0)
    before = peak = resident()

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.02):
            peak = max(peak, resident())

    thread = threading.Thread(target=watch)
    thread.start()
    started = time.perf_counter()
    result = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    stop.set()
    thread.join()
    return result, seconds, (peak - before) / 2**20


def ours(subject: Subject, chosen: torch.Tensor, *, whole: bool) -> tuple[object, int]:
    """Both ends to 1e-3; with ``whole`` also trace and density."""
    operator = operator_of(subject, chosen)
    generator = torch.Generator().manual_seed(0)
    config = SpectrumConfig(probes=1, trace_probes=SpectrumConfig().trace_probes if whole else 0)
    found = operator_spectrum(operator, config, generator)
    return found, operator.products


def compare(
    subject: Subject,
    chosen: torch.Tensor,
    rounds: int,
    peers: list[str],
    out: Console,
    title: str,
) -> None:
    """Print the table of one scope."""
    exact, density = reference(subject, chosen)
    gradient = gradient_seconds(subject, chosen)
    batches = list(subject.data.batches(chosen, BATCH))
    rows: dict[str, list[tuple]] = {}
    for turn in range(rounds + 1):
        for label, whole in (("tailscape, both ends", False), ("tailscape, all", True)):
            (found, products), seconds, memory = measured(
                lambda whole=whole: ours(subject, chosen, whole=whole), trim=turn == 0
            )
            nodes = found.quadrature[0]
            values = (found.high.value, found.low.value, found.trace.value if whole else np.nan)
            apart = distance(density, (nodes.values, nodes.weights))
            sem = found.trace.sem if whole else np.nan
            rows.setdefault(label, []).append((values, products, seconds, memory, apart, sem))
        asked = {name: partial(run_peer, name) for name in peers}
        if "PyHessian" in peers and len(batches) == 1:
            asked["PyHessian, as a loader"] = partial(pyhessian, loader=True)
        for name, peer in asked.items():
            model = evaluation_copy(subject.model, fold_batchnorm=False)
            torch.manual_seed(0)
            with DIFFERENTIABLE_ATTENTION():  # the others leave it to their users
                answer, seconds, memory = measured(partial(peer, model, batches), trim=turn == 0)
            values = (answer.lambda_max, answer.lambda_min, answer.trace)
            apart = distance(density, answer.density)
            row = (values, answer.products, seconds, memory, apart, answer.trace_sem)
            rows.setdefault(name, []).append(row)
    print_rows(rows, exact, gradient, out, title)


def distance(exact: tuple, found: tuple | None) -> float:
    """Wasserstein distance of two discrete densities, nodes and weights each."""
    if found is None:
        return np.nan
    return wasserstein_distance(exact[0], found[0], exact[1], found[1])


def print_rows(rows: dict, exact: tuple, gradient: float, out: Console, title: str) -> None:
    """Print medians, errors in units of λmax, and ratios."""
    table = Table(title=title, box=None)
    errors = "err λmax|err λmin|err trace|s.e. trace|W1 density"
    for column in f"tool|{errors}|products|gradients|seconds|MiB|ratio".split("|"):
        table.add_column(column, justify="left" if column == "tool" else "right")
    base = statistics.median(r[2] for r in rows.get("PyHessian", next(iter(rows.values())))[1:])
    for label, runs in rows.items():
        values, products, _, _, apart, sem = runs[-1]
        seconds = statistics.median(r[2] for r in runs[1:])
        errors = [f"{abs(v - e) / exact[0]:.1e}" for v, e in zip(values, exact[:3], strict=True)]
        table.add_row(
            label,
            *errors,
            f"{sem / exact[0]:.1e}",
            f"{apart / exact[0]:.1e}",
            str(products),
            f"{seconds / gradient:.0f}",
            f"{seconds:.2f}",
            f"{runs[0][3]:.0f}",
            f"1/{base / seconds:.1f}",
        )
    out.print(table)
    out.print(f"λmax {exact[0]:.4g}, λmin {exact[1]:.4g}, trace {exact[2]:.4g} ± {exact[3]:.2g}\n")


def reference(subject: Subject, chosen: torch.Tensor) -> tuple[tuple, tuple]:
    """Float64: ends to 1e-6, trace with its standard error, and quadrature nodes and weights."""
    operator = operator_of(subject, chosen, dtype=torch.float64, memory_budget=8.0)
    generator = torch.Generator().manual_seed(1)
    config = SpectrumConfig(steps=200, probes=1, trace_probes=40, tolerance=1e-6)
    found = operator_spectrum(operator, config, generator)
    runs = [r.ritz() for r in lanczos(operator, random_probes(operator, 4, generator), 40)]
    nodes = torch.cat([r.values for r in runs]), torch.cat([r.weights for r in runs])
    return (found.high.value, found.low.value, found.trace.value, found.trace.sem), nodes


def gradient_seconds(subject: Subject, chosen: torch.Tensor) -> float:
    """Seconds of one plain gradient over the scope: the unit of cost."""
    model = evaluation_copy(subject.model, fold_batchnorm=False)
    parameters = list(model.parameters())

    def once() -> None:
        for x, y in subject.data.batches(chosen, BATCH):
            torch.autograd.grad(F.cross_entropy(model(x), y), parameters)

    return best_of(once)


def best_of(work: Callable[[], object], times: int = 4) -> float:
    """Least seconds of several calls after one that does not count."""
    work()
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        found.append(time.perf_counter() - started)
    return min(found)


def product_costs(subject: Subject, sizes: list[int], out: Console) -> None:
    """Print the cost of a product in gradients, and how it grows with samples and products."""
    table = Table(title="a product in plain gradients (in prepared ones), and its growth", box=None)
    columns = "samples|gradient s|kept|recomputed, K = 4|kept s|2 products s|4 products s|MiB"
    for column in columns.split("|"):
        table.add_column(column, justify="right")
    for size in sizes:
        chosen = torch.arange(size) % len(subject.data.labels)
        plain = gradient_seconds(subject, chosen)
        operator = operator_of(subject, chosen, memory_budget=8.0)
        one, two, four = (torch.randn(operator.size, k, device=operator.device) for k in (1, 2, 4))
        _, _, memory = measured(partial(operator.matmat, one), trim=True)
        prepared = best_of(operator.loss_and_gradient)
        kept, twice, often = (best_of(partial(operator.matmat, v)) for v in (one, two, four))
        fresh = best_of(partial(operator.fresh_matmat, four), 2) / 4
        costs = [f"{s / plain:.2f} ({s / prepared:.2f})" for s in (kept, fresh)]
        table.add_row(
            str(size),
            f"{plain:.3f}",
            *costs,
            *(f"{s:.3f}" for s in (kept, twice, often)),
            f"{memory:.0f}",
        )
    out.print(table)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["resnet20", "resnet32"])
    parser.add_argument("--classes", nargs="+", type=int, default=[2, 9])
    parser.add_argument("--most", type=int, help="samples of a scope")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3, help="after the one for memory")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--samples", nargs="+", type=int, default=[64, 128, 256], help="products")
    options = parser.parse_args()
    out = Console(width=150)
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for name in options.models:
        subject = trained_subject(name, options.epochs, device)
        product_costs(subject, options.samples, out)
        for label in options.classes:
            chosen = (subject.data.labels == label).nonzero().flatten()[: options.most]
            title = f"{name}, class {label}, {len(chosen)} samples, {device}"
            compare(subject, chosen, options.rounds, options.peers, out, title)


if __name__ == "__main__":
    main()
