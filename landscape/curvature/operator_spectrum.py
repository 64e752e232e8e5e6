r"""Ends, trace and quadrature of one operator, or of each diagonal block of one.

One Krylov run a probe gives everything; all blocks share every product.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from landscape.config import SpectrumConfig
from landscape.curvature.confidence import spectrum_bounds
from landscape.curvature.error_bounds import (
    ROUNDING,
    Extreme,
    Noise,
    certify,
    ends_found,
    extreme_pairs,
    nothing_beyond,
)
from landscape.curvature.lanczos import (
    LEAST_CAPACITY,
    Lanczos,
    Ritz,
    lanczos_of_blocks,
)
from landscape.curvature.leading import Leading, leading_pairs, of_numbers
from landscape.curvature.memory import GIB, free_bytes
from landscape.curvature.norms import norm
from landscape.curvature.operator import CurvatureOperator, Operator
from landscape.curvature.sampling import sphere_starts
from landscape.curvature.trace import (
    Trace,
    deflated_traces,
    exact_frobenius,
    exact_trace,
    first_step_trace,
    frobenius_norm,
)
from landscape.errors import DataWarning, InputError, Setting
from landscape.global_state import controlled_state

_HOST = torch.device("cpu")


@dataclass(frozen=True)
class OperatorSpectrum:
    """Spectrum of one operator."""

    low: Extreme
    high: Extreme
    trace: Trace
    frobenius: tuple[float, float]  # ‖H‖_F and its standard error
    noise: Noise
    quadrature: list[Ritz]  # one a probe
    vectors: Tensor  # (P, 2), of the lowest and the highest value, unit norm
    lowest: float  # with a probability of 0.99 no eigenvalue is below, nor any above the next
    highest: float
    orthogonality_loss: float  # ‖QQᵀ - I‖_F of the probes' bases, the largest
    converged: bool  # both estimates within the tolerance, and nothing hides beyond
    products: int  # matrix-vector products made
    leading: Leading | None = None  # further Ritz pairs, where they are asked for


def operator_spectrum(
    operator: Operator,
    config: SpectrumConfig,
    generator: torch.Generator,
    guess: Tensor | None = None,
    trace: Trace | None = None,
    *,
    leading: int = 0,
) -> OperatorSpectrum:
    """Compute both ends, trace and quadrature nodes of a symmetric operator.

    Args:
        operator: size P.
        config: steps, probes, tolerance, memory.
        generator: CPU generator of the random vectors.
        guess: (P, 2) vectors near the extreme ones; their sum starts one more run, which serves the
            ends only, since quadrature, trace and what may hide need random starts.
        trace: known already; default: estimated here.
        leading: uppermost Ritz pairs to keep, which cost no product.

    Raises:
        InputError: a product comes out differently the second time, and that is not allowed.
    """
    traces = None if trace is None else [trace]
    sizes = (operator.size,)
    return operator_spectra(operator, sizes, config, generator, guess, traces, leading=leading)[0]


@controlled_state()
def operator_spectra(
    operator: Operator,
    sizes: Sequence[int],
    config: SpectrumConfig,
    generator: torch.Generator,
    guess: Tensor | None = None,
    traces: list[Trace] | None = None,
    judge: Operator | None = None,
    *,
    leading: int = 0,
) -> list[OperatorSpectrum]:
    """Compute the spectrum of each diagonal block of a block-diagonal operator.

    Args:
        operator: size P, zero outside its diagonal blocks.
        sizes: of the blocks; their sum is P.
        config: as for :func:`operator_spectrum`, and likewise the rest, for all blocks at once.
        generator: of the random vectors.
        guess: the blocks' vectors below one another.
        traces: one a block.
        judge: the same matrix in a higher precision, by which the ends are certified; default: the
            operator itself.
        leading: uppermost Ritz pairs of each block to keep, which cost no product.

    Raises:
        InputError: a product comes out differently the second time, and that is not allowed.
    """
    runs = _runs(operator, sizes, config, generator, guess)
    pairs = [extreme_pairs(found) for found in runs]
    judge = operator if judge is None else judge
    vectors = torch.cat([p.vectors for p in pairs])
    products = _judged(judge, vectors)
    split = products.split(list(sizes))
    ends = [certify(p, product) for p, product in zip(pairs, split, strict=True)]
    if not config.allow_nondeterministic and not _repeats(ends, operator.dtype):
        _check_deterministic(products, _judged(judge, vectors), judge.dtype)
    _name_infinite(ends)
    made = 0
    if traces is None:
        traces, made = _traces(operator, runs, config, generator)
    found = []
    for own, pair, (low, high, noise), trace in zip(runs, pairs, ends, traces, strict=True):
        allowed = config.tolerance * max(abs(low.value), abs(high.value))
        quadrature = [run.quadrature for run in own[: config.probes]]
        norm = exact_frobenius(own[0]) or frobenius_norm(quadrature, len(pair.vectors))
        lowest, highest = spectrum_bounds(quadrature, len(pair.vectors))
        rounding = ROUNDING * torch.finfo(operator.dtype).eps
        scale = max(abs(low.value), abs(high.value))
        floor = max(noise.rounding, noise.repeatability, rounding * scale)
        sure = lowest - floor, highest + floor
        sound = nothing_beyond((low.value, high.value), sure)
        lost = max(run.orthogonality_loss() for run in own[: config.probes])
        found.append(
            OperatorSpectrum(
                *(low, high, trace, norm, noise, quadrature),
                *(of_numbers(pair.vectors.double(), (low.value, high.value)), *sure, lost),
                converged=max(low.bound, high.bound) <= allowed and sound,
                products=sum(run.products for run in own) + 2 + made,
                leading=leading_pairs(own[0], leading) if leading else None,
            )
        )
    return found


def _name_infinite(ends: list[tuple[Extreme, Extreme, Noise]]) -> None:
    if not all(math.isfinite(end.value) for low, high, _ in ends for end in (low, high)):
        warnings.warn(
            "products with the matrix are no finite numbers, and nor are its ends: a second "
            "derivative is infinite, as of a square root or a norm at 0, or overflows",
            DataWarning,
            stacklevel=2,
        )


def _judged(judge: Operator, vectors: Tensor) -> Tensor:
    """Multiply anew, where the vectors lie."""
    return judge.fresh_matmat(vectors.to(judge.device, judge.dtype)).to(vectors.device)


def _runs(
    operator: Operator,
    sizes: Sequence[int],
    config: SpectrumConfig,
    generator: torch.Generator,
    guess: Tensor | None,
) -> list[list[Lanczos]]:
    """The random runs of each block and, behind them, the one from a guess.

    That one goes first: the random ones then need to go on only until nothing can hide beyond it.
    """
    eps = torch.finfo(operator.dtype).eps
    run = partial(
        lanczos_of_blocks,
        operator,
        sizes=sizes,
        steps=config.steps,
        capacity=basis_capacity(operator, config),
        on_host=config.basis == "host",
    )
    known: list[list[Lanczos]] = [[] for _ in sizes]
    if guess is not None:
        stops = [partial(_found, (), config, 0, size, eps) for size in sizes]
        start = guess.sum(dim=1, keepdim=True).to(operator.device, operator.dtype)
        known = run(start, stops=stops)
    starts = sphere_starts(operator, config.probes, generator)
    stops = [
        partial(_found, tuple(run.ritz() for run in own), config, config.probes, size, eps)
        for own, size in zip(known, sizes, strict=True)
    ]
    runs = run(starts, stops=stops)
    return [random + own for random, own in zip(runs, known, strict=True)]


def _found(
    known: tuple[Ritz, ...],
    config: SpectrumConfig,
    probes: int,
    size: int,
    eps: float,
    runs: list[Ritz],
    restarted: bool,
) -> bool:
    if not config.tolerance:
        return False
    random = [] if restarted else runs[:probes]
    return ends_found([*runs, *known], random, config.tolerance, size, eps)


def basis_capacity(operator: Operator, config: SpectrumConfig) -> int:
    """Lanczos vectors of a run that are held at once: half of the budget may go to the basis."""
    most = min(config.steps, operator.size) + 1
    if config.memory_budget == 0 or config.basis == "host":  # no graph is kept, or all are beside
        return most
    fitting = int(config.memory_budget * GIB / 2) // _bytes_a_step(operator, config)
    return min(max(fitting, LEAST_CAPACITY), most)


def _bytes_a_step(operator: Operator, config: SpectrumConfig) -> int:
    """Bytes of one basis vector of every run."""
    return (config.probes + config.warm_start) * operator.size * operator.dtype.itemsize


def share_memory(operator: CurvatureOperator, config: SpectrumConfig) -> None:
    """Take the basis out of an operator's budget, before the first product.

    Raises:
        InputError: the basis exceeds the budget or the memory there is, or what is left of the
            budget holds no batch.
    """
    capacity, step = basis_capacity(operator, config), _bytes_a_step(operator, config)
    size, runs = capacity * step, config.probes + config.warm_start
    told = (
        f"{capacity} Lanczos vectors of each of {runs} runs over {operator.size} parameters take "
        f"{size / GIB:.3g} GiB, and "
    )
    on_host = config.basis == "host"
    if not on_host and 0 < config.memory_budget * GIB < size:
        raise InputError(
            *(told, Setting("spectrum.memory_budget"), f" is {config.memory_budget:g}; set it to "),
            *(f"{2 * size / GIB:.3g} or more, hold them in the host's memory with "),
            *(Setting("spectrum.basis"), " host, or lower ", Setting("spectrum.probes")),
        )
    free = free_bytes(_HOST if on_host else operator.device)
    if free is not None and free < size:
        fitting = f" to {max(free // step - 1, 1)}, or "
        lower = ("; lower ", Setting("spectrum.steps"), fitting, Setting("spectrum.probes"))
        raise InputError(told, f"{free / GIB:.3g} are free", *lower)
    if not on_host:
        operator.reserve(size)
    operator.check_budget()


def check_warm_start(operator: Operator, scopes: int) -> None:
    """Check that the host has room for the extreme vectors of so many further scopes.

    Raises:
        InputError: it has not.
    """
    needed, free = 2 * scopes * operator.size * operator.dtype.itemsize, free_bytes(_HOST)
    if free is not None and free < needed:
        raise InputError(
            f"a warm start keeps two vectors of {operator.size} parameters for each of {scopes} "
            f"scopes, {needed / GIB:.3g} GiB, and {free / GIB:.3g} are free; name fewer ",
            *(Setting("scopes"), ", or leave out ", Setting("spectrum.warm_start")),
        )


def _traces(
    operator: Operator,
    runs: list[list[Lanczos]],
    config: SpectrumConfig,
    generator: torch.Generator,
) -> tuple[list[Trace], int]:
    """The blocks' traces and the products made for them."""
    if config.trace_probes:
        firsts = [own[0] for own in runs]
        found = deflated_traces(operator, firsts, config.trace_probes, generator)
        return found, 0 if all(trace.sem == 0 for trace in found) else config.trace_probes
    return [
        exact_trace(own[0]) or first_step_trace(own[: config.probes], own[0].basis.shape[1])
        for own in runs
    ], 0


def _repeats(ends: list[tuple[Extreme, Extreme, Noise]], dtype: torch.dtype) -> bool:
    """Tell whether fresh products differ from the recurrence's by no more than rounding."""
    scale = max(math.hypot(end.value, end.residual) for low, high, _ in ends for end in (low, high))
    repeatability = max(noise.repeatability for *_, noise in ends)
    return not math.isfinite(scale) or repeatability <= 1e4 * torch.finfo(dtype).eps * scale


def _check_deterministic(first: Tensor, second: Tensor, dtype: torch.dtype) -> None:
    """Compare two fresh products of the same unit vectors."""
    apart = float(norm(first - second, dim=0).max())
    allowed = 1e4 * torch.finfo(dtype).eps * float(norm(first, dim=0).max())
    if not apart <= allowed:
        raise InputError(
            f"the same product came out differently the second time (by {apart:.2g}, where "
            f"rounding explains {allowed:.2g}): the loss is random or the data are drawn anew, by "
            "dropout, shuffling or augmentation. Switch that off, or go on with ",
            Setting("spectrum.allow_nondeterministic"),
        )
