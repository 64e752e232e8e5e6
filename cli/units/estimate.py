"""Estimate the time and memory of units of work, from a few samples."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from rich.console import Console
from torch import nn

from cli.console import duration
from cli.units.cost import GRADIENT, Passes, parts_of
from cli.units.run_unit import open_subject
from cli.units.unit import Unit
from landscape.config import DiagnoseConfig
from landscape.curvature.memory import GIB, GraphSize, graph_size
from landscape.curvature.operator import CurvatureOperator
from landscape.curvature.products import build_graph
from landscape.errors import InputError
from landscape.global_state import controlled_state
from landscape.subject.batch import Batch
from landscape.subject.data import read
from landscape.subject.evaluation_copy import evaluation_copy
from landscape.subject.parameters import weight_of
from landscape.subject.subject import Selection, Subject

_MOST_SAMPLES = 64
_MEASURED_SAMPLES = 8  # of a graph, and of a slow network
_QUICK = 1.0  # seconds
_LONG = 60.0  # seconds from which on a diagnosis is announced
_MARGIN = 5.0  # by which products are slower at most than cost.py has them in forward passes
_COPIES = 3  # of the parameters: the model, the copy that is judged, and a gradient


@dataclass(frozen=True)
class Estimate:
    """What units take, with every Lanczos step of every scope."""

    seconds: float
    gib: float  # of graphs, vectors and class gradients, and of the network; the data lie beside
    units: int
    has_spectra: bool

    def sentence(self) -> str:
        """Say it."""
        results = "1 result" if self.units == 1 else f"{self.units} results"
        steps = " if every Lanczos step is taken" if self.has_spectra else ""
        return (
            f"{results}: about {duration(self.seconds)}{steps}, and {max(self.gib, 0.01):.2g} GiB "
            "beside the data (measured on a few samples)"
        )


def announce(units: Sequence[Unit], class_counts: Sequence[int], out: Console) -> None:
    """Print an estimate of long work; what cannot be measured is left to the work itself.

    A product is measured only where the forward pass does not say that the work is short.
    """
    try:
        few, passes = _few_and_passes(units, class_counts)
        if _MARGIN * few.forward() * passes.size < _LONG:
            return
        found = _estimate(few, passes, units, class_counts)
    except InputError:
        return
    if found.seconds >= _LONG:
        out.print(found.sentence(), soft_wrap=True)


def estimate(units: Sequence[Unit], class_counts: Sequence[int]) -> Estimate:
    """Estimate units of one model, from a gradient and a product on a few of its samples.

    Args:
        units: at least one, of one run.
        class_counts: training samples of each class (K,).

    Raises:
        InputError: the run, its data or its checkpoint cannot be used, or there is no matrix.
    """
    return _estimate(*_few_and_passes(units, class_counts), units, class_counts)


def _few_and_passes(units: Sequence[Unit], class_counts: Sequence[int]) -> "tuple[_Few, Passes]":
    source, subject = open_subject(units[-1])
    judged, passes = len(source.test.labels), Passes()
    for unit in units:
        passes = sum(parts_of(unit, class_counts, judged).values(), passes)
    few = _Few.of(subject, units[-1].config, _MEASURED_SAMPLES)
    if few.forward() * _MOST_SAMPLES < _QUICK:  # then more of them tell the pace of whole batches
        few = _Few.of(subject, units[-1].config, _MOST_SAMPLES)
    return few, passes


def _estimate(
    few: "_Few", passes: Passes, units: Sequence[Unit], class_counts: Sequence[int]
) -> Estimate:
    seconds = few.forward() * (passes.forward + GRADIENT * passes.gradients)
    if passes.products:
        seconds += few.product(class_counts) * passes.products
    most = max(_gib(unit, few, class_counts) for unit in units)
    return Estimate(seconds, most, len(units), passes.products > 0)


@dataclass(frozen=True)
class _Few:
    """A few samples of a subject, from which the cost of many is told."""

    subject: Subject
    chosen: Selection
    config: DiagnoseConfig

    @staticmethod
    def of(subject: Subject, config: DiagnoseConfig, most: int) -> "_Few":
        most = min(most, config.batch_size)
        found = subject.select_all(-(-most // subject.num_classes))
        indices, weights = found.indices[:most], found.weights[:most]
        return _Few(subject, Selection(indices, weights / weights.sum()), config)

    @property
    def samples(self) -> int:
        """Their number."""
        return len(self.chosen.indices)

    @cached_property
    def parameters(self) -> int:
        """Parameters of the model."""
        return sum(p.numel() for p in self.subject.model.parameters())

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return 8 if self.config.dtype == "float64" else 4

    @cached_property
    def model(self) -> nn.Module:
        """The copy that is judged."""
        return evaluation_copy(self.subject.model, getattr(torch, self.config.dtype))

    def batch(self) -> Batch:
        """Read the samples."""
        indices = self.chosen.indices
        return next(read(self.subject.data, indices, len(indices), weight_of(self.model)))

    def forward(self) -> float:
        """Measure the seconds that a sample takes forward, reading included."""
        return _best(self._forward) / self.samples

    @controlled_state()
    def _forward(self) -> None:
        with torch.no_grad():
            float(self.subject.loss.per_sample(self.model, self.batch()).sum())

    def product(self, class_counts: Sequence[int]) -> float:
        """Measure the seconds of a sample in a product, with its graph kept if all can be.

        Raises:
            InputError: there is no matrix.
        """
        dtype, size = getattr(torch, self.config.dtype), self.config.batch_size
        budget = self.config.spectrum.memory_budget
        fit = 2 * self.graph.sample * sum(class_counts) <= budget * GIB
        operator = CurvatureOperator(
            self.subject,
            self.chosen,
            dtype=dtype,
            batch_size=size,
            memory_budget=budget if fit else 0,
        )
        operator.check_deterministic()
        vector = torch.ones(operator.size, 1, dtype=dtype, device=operator.device)
        return _best(lambda: float(operator.matmat(vector)[0])) / self.samples

    @cached_property
    def graph(self) -> GraphSize:
        """Bytes of a graph for products."""
        with controlled_state():
            return self._graph()

    def _graph(self) -> GraphSize:
        batch, model = self.batch(), self.model
        parameters = [p for p in model.parameters() if p.requires_grad]
        if not parameters:
            raise InputError("no parameter of the model is trainable; there is no curvature")
        count = min(batch.size, _MEASURED_SAMPLES)
        weights = torch.ones(count, dtype=torch.float64, device=parameters[0].device)

        def build(part: slice) -> object:
            return build_graph(
                "hessian", model, self.subject.loss, batch.rows(part), weights[part], parameters
            )

        return graph_size(build, count, model)


def _best(work: Callable[[], object]) -> float:
    """Time the second of two runs, since the first starts things up."""
    work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _gib(unit: Unit, few: _Few, class_counts: Sequence[int]) -> float:
    """Bound what a unit holds beside the data, within the budgets of its settings."""
    config, held = unit.config, float(_COPIES * few.parameters * few.itemsize)
    if unit.analysis == "spectrum":
        own, graph = config.spectrum, few.graph
        samples = max(part.gradients for part in parts_of(unit, class_counts).values())
        basis = own.probes * own.steps * few.parameters * few.itemsize
        batch = graph.working_memory(min(config.batch_size, int(samples)))
        budget = own.memory_budget * GIB
        apart = own.basis == "host" or not budget  # the basis then is outside of the budget
        within = batch + graph.sample * samples + (0 if apart else basis)
        held += (min(within, budget) if budget else batch) + (basis if apart else 0)
    if unit.analysis == "gradients":
        whole = few.subject.num_classes * few.parameters * 8
        held += min(whole, config.gradients.memory_budget * GIB)
    return held / GIB
