"""Results of the other tools for one scope, through their interfaces at their defaults.

For cross-checks and benchmarks only; each tool is imported by its own function.
"""

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Batches = list[tuple[Tensor, Tensor]]
Density = tuple[NDArray[np.float64], NDArray[np.float64]]  # nodes and weights, of one probe
NAN = float("nan")


@dataclass(frozen=True)
class ToolResult:
    """Result of a tool; NaN for quantities it does not compute."""

    tool: str
    lambda_max: float
    lambda_min: float
    trace: float
    products: int
    seconds: float
    note: str  # known reason for a difference, or for a missing result
    trace_sem: float = NAN  # standard error over its samples, if it returns them
    density: Density | None = None  # if it returns one


def pyhessian(model: nn.Module, batches: Batches, *, loader: bool = False) -> ToolResult:
    """Compute λmax by power iteration, trace and density at the defaults of PyHessian 0.1.

    One batch is passed as a batch, which keeps the graph of its gradient, unless ``loader`` is set;
    several are read again at every product.
    """
    from pyhessian import hessian

    started = time.perf_counter()
    cuda, single = batches[0][0].is_cuda, len(batches) == 1 and not loader
    given: dict[str, Any] = {"data": batches[0]} if single else {"dataloader": batches}
    with _old_eig():
        tool = hessian(model, nn.CrossEntropyLoss(), cuda=cuda, **given)
        with _counted_products(tool, single) as count:
            (top,), _ = tool.eigenvalues()
            samples = np.array(tool.trace())
            (nodes,), (weights,) = tool.density()
    seconds = time.perf_counter() - started
    form = "one batch, its graph kept" if single else f"{len(batches)} batches, read every time"
    note = (
        f"{form}; λmax: power iteration to a change of 1e-3, of the largest magnitude; λmin: least "
        "node of one probe, vectors divided by norm + 1e-6; trace: until its mean moves by 1e-3"
    )
    sem = float(samples.std(ddof=1) / len(samples) ** 0.5) if len(samples) > 1 else NAN
    density = np.array(nodes, dtype=np.float64), np.array(weights, dtype=np.float64)
    found = (float(top), float(density[0].min()), float(samples.mean()), count[0], seconds)
    return ToolResult("PyHessian", *found, note, sem, density)


def curvlinops_arpack(model: nn.Module, batches: Batches) -> ToolResult:
    """Compute both ends by ARPACK on curvlinops' Hessian, trace by its Hutch++ in 99 products."""
    from curvlinops import HessianLinearOperator, hutchpp_trace
    from scipy.sparse.linalg import LinearOperator, eigsh

    started = time.perf_counter()
    parameters = [p for p in model.parameters() if p.requires_grad]
    tool = HessianLinearOperator(model, nn.CrossEntropyLoss(), parameters, batches)
    inner, made = tool.to_scipy(), [0]

    def product(vector: Any) -> Any:
        made[0] += 1
        return inner @ vector

    operator = LinearOperator(inner.shape, matvec=product, dtype=inner.dtype)
    random = np.random.RandomState(0).randn(inner.shape[0]).astype(inner.dtype)
    ends = [eigsh(operator, 1, which=w, tol=1e-3, v0=random)[0][0] for w in ("SA", "LA")]
    most = min(99, (inner.shape[0] - 1) // 3 * 3)  # thirds, and fewer than the matrix's size
    trace = float(hutchpp_trace(tool, num_matvecs=most))
    seconds = time.perf_counter() - started
    note = (
        "two runs, one per end, to 1e-3, no residual returned; trace: one estimate from "
        f"{most} products, without an error"
    )
    return ToolResult("curvlinops + ARPACK", ends[1], ends[0], trace, made[0] + most, seconds, note)


def eigenthings(model: nn.Module, batches: Batches) -> ToolResult:
    """Compute both ends by its Lanczos, trace by its Hutch++, at the defaults for one eigenpair."""
    from hessian_eigenthings import HessianOperator, lanczos, supervised_loss, trace

    started = time.perf_counter()
    tool = HessianOperator(model, batches, supervised_loss(nn.CrossEntropyLoss()))
    count = _counted(tool, "matvec")
    found = [lanczos(tool, k=1, which=which) for which in ("SA", "LA")]
    value = float(trace(tool).estimate)
    seconds = time.perf_counter() - started
    ends = [float(f.eigenvalues[0]) for f in found]
    note = "the default for one eigenpair is two Lanczos steps, so that neither end is reached"
    if len({len(y) for _, y in batches}) > 1:
        note += "; batches of unequal size are averaged as if equal"
    return ToolResult("hessian-eigenthings", ends[1], ends[0], value, count[0], seconds, note)


PEERS: dict[str, Callable[[nn.Module, Batches], ToolResult]] = {
    "PyHessian": pyhessian,
    "curvlinops + ARPACK": curvlinops_arpack,
    "hessian-eigenthings": eigenthings,
}


def run_peer(name: str, model: nn.Module, batches: Batches) -> ToolResult:
    """Run one tool; if it is not installed or fails, the result is a note."""
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return PEERS[name](model, batches)
    except ImportError as error:
        note = f"not installed ({error.name}): pip install 'tailscape[peers]'"
    except Exception as error:  # a failure of another tool is part of the comparison
        note = f"failed: {type(error).__name__}: {error}".splitlines()[0]
    return ToolResult(name, NAN, NAN, NAN, 0, NAN, note)


@contextlib.contextmanager
def _counted_products(tool: object, single: bool) -> Iterator[list[int]]:
    """Count PyHessian's products: a function's for one batch, a method's for several."""
    if not single:
        yield _counted(tool, "dataloader_hv_product")
        return
    module = import_module("pyhessian.hessian")  # the package's attribute of that name is a class
    before = module.hessian_vector_product
    try:
        yield _counted(module, "hessian_vector_product")
    finally:
        module.hessian_vector_product = before  # type: ignore[attr-defined]


def _counted(tool: object, name: str) -> list[int]:
    """Count the calls of a method of one object, or of a function of a module."""
    inner, calls = getattr(tool, name), [0]

    def outer(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        return inner(*arguments, **options)

    setattr(tool, name, outer)
    return calls


@contextlib.contextmanager
def _old_eig() -> Iterator[None]:
    """Provide PyHessian 0.1 with the eigensolver interface that torch has since removed."""

    def eig(matrix: Tensor, eigenvectors: bool = False) -> tuple[Tensor, Tensor]:  # noqa: ARG001
        values, vectors = torch.linalg.eigh(matrix)
        return torch.stack([values, torch.zeros_like(values)], dim=1), vectors

    with mock.patch.object(torch, "eig", eig):
        yield
