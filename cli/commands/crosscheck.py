"""``tailscape crosscheck``: compare the other tools' results on the same scope."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.table import Table

from cli.console import closing, console
from cli.sources.chosen import run_checkpoints
from landscape.config import SpectrumConfig
from landscape.errors import InputError, quoted

if TYPE_CHECKING:
    import torch

    from cli.commands.crosscheck_peers import ToolResult
    from landscape.subject.subject import Scope, Subject


@dataclass(frozen=True)
class Crosscheck:
    """Compare λmax, λmin and trace of one scope with PyHessian, curvlinops and eigenthings."""

    run_folder: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="RUN")]]
    """The run folder."""
    scope: str = "class/0"
    """Samples: a class (class/3), a group, or overall."""
    checkpoint: str = "last"
    """Checkpoint: last, best or an epoch."""
    samples: int | None = None
    """Use at most this many of the scope's samples, drawn at random by seed. Default: all."""
    batch_size: int = 128
    """Samples per batch, for every tool."""
    seed: int = 0
    """Seed of the draw and of Tailscape's probes."""

    def run(self) -> None:
        """Execute the command."""
        self._check()
        out = console()
        from cli.commands.crosscheck_peers import PEERS, run_peer
        from landscape.device import keep_freed_memory
        from landscape.subject.evaluation_copy import evaluation_copy

        keep_freed_memory()
        subject, scope, name = self._opened()
        chosen = draw_samples(subject, scope, self.samples, self.seed)
        batches = list(subject.data.batches(chosen, self.batch_size))
        results = [self._ours(subject, chosen)]
        for peer in PEERS:
            results.append(
                run_peer(peer, evaluation_copy(subject.model, fold_batchnorm=False), batches)
            )
            ran = math.isfinite(results[-1].seconds)
            out.print(f"ran {peer}: {results[-1].seconds:.1f} s" if ran else f"{peer}: did not run")
        out.print(_table(results, f"{self.scope} of {name}, {len(chosen)} samples"))
        if not any(math.isfinite(result.seconds) for result in results[1:]):
            raise InputError("there was nothing to compare with: no other tool ran; see its reason")
        closing(
            out,
            [],
            [f"tailscape diagnose {quoted(self.run_folder)} --scopes {self.scope}"],
        )

    def _check(self) -> None:
        """Check the ranges of the options.

        Raises:
            InputError: naming the option.
        """
        for option, given in (("samples", self.samples), ("batch-size", self.batch_size)):
            if given is not None and given < 1:
                raise InputError(f"--{option} is {given}; it must be at least 1")

    def _opened(self) -> "tuple[Subject, Scope, str]":
        """Open the checkpoint, with the scope by the split that the run was trained with.

        Raises:
            InputError: the run is invalid, or the scope is not one set of samples.
        """
        from landscape.device import choose_device
        from trainers.reopen import open_run_data, open_subject
        from trainers.runs.folder import RunFolder

        folder, device = RunFolder(self.run_folder), choose_device("auto")
        split = folder.plan().split
        names = run_checkpoints(folder, self.checkpoint)
        if len(names) != 1:
            raise InputError(f"--checkpoint {self.checkpoint} names several checkpoints; give one")
        subject = open_subject(folder, names[0], open_run_data(folder, device), device)
        scopes = subject.scopes((self.scope,), split)
        if len(scopes) != 1:
            found = f"names {len(scopes)} scopes" if scopes else "is empty in this run"
            raise InputError(
                f"--scope {self.scope} {found}; give one set of samples, such as class/0, tail "
                "or overall"
            )
        return subject, scopes[0], names[0]

    def _ours(self, subject: "Subject", chosen: "torch.Tensor") -> "ToolResult":
        import torch

        from cli.commands.crosscheck_peers import ToolResult
        from landscape.curvature.operator import CurvatureOperator
        from landscape.curvature.operator_spectrum import operator_spectrum, share_memory
        from landscape.subject.subject import Selection

        weights = torch.full((len(chosen),), 1 / len(chosen), dtype=torch.float64)
        started = time.perf_counter()
        selection = Selection(chosen, weights)
        operator = CurvatureOperator(subject, selection, batch_size=self.batch_size)
        generator = torch.Generator().manual_seed(self.seed)
        share_memory(operator, SpectrumConfig())
        found = operator_spectrum(operator, SpectrumConfig(), generator)
        note = (
            f"λmax ± {found.high.bound:.1g}, λmin ± {found.low.bound:.1g}, "
            f"trace ± {found.trace.sem:.2g}"
        )
        values = (found.high.value, found.low.value, found.trace.value)
        seconds = time.perf_counter() - started
        return ToolResult("tailscape", *values, operator.products, seconds, note, found.trace.sem)


def draw_samples(
    subject: "Subject", scope: "Scope", samples: int | None = None, seed: int = 0
) -> "torch.Tensor":
    """Draw samples of a scope with equal probability, so that their mean estimates its mean.

    Args:
        subject: the checkpoint with its data.
        scope: the classes.
        samples: at most this many; default: all.
        seed: seed of the draw.

    Returns:
        Indices (n,), class by class.
    """
    import torch

    indices = subject.select(scope).indices
    if samples is None or samples >= len(indices):
        return indices
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(indices), generator=generator)[:samples]
    return indices[order.sort().values]


def _table(results: "list[ToolResult]", title: str) -> Table:
    ours = results[0]
    table = Table(title=title, box=None, caption="in brackets: difference from Tailscape's value")
    table.add_column("tool")
    for column in ("λmax", "λmin", "trace", "products", "seconds"):
        table.add_column(column, justify="right")
    table.add_column("known reason")
    for result in results:
        cells = [
            _cell(getattr(result, key), getattr(ours, key), result is ours)
            for key in ("lambda_max", "lambda_min", "trace")
        ]
        table.add_row(result.tool, *cells, *_effort(result), result.note)
    return table


def _effort(result: "ToolResult") -> tuple[str, str]:
    ran = math.isfinite(result.seconds)
    return (str(result.products), f"{result.seconds:.1f}") if ran else ("–", "–")


def _cell(value: float, reference: float, is_reference: bool) -> str:
    if math.isnan(value):
        return "–"
    if is_reference:
        return f"{value:.5g}"
    return f"{value:.5g} ({value - reference:+.2g})"
