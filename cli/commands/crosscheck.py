"""``tailscape crosscheck``: the same scope through the other tools, side by side."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.table import Table

from cli.commands.diagnose import run_checkpoints
from cli.console import closing, console
from landscape.config import SpectrumConfig
from landscape.errors import InputError

if TYPE_CHECKING:
    import torch

    from cli.commands.crosscheck_peers import Answer
    from landscape.subject.subject import Scope, Subject


@dataclass(frozen=True)
class Crosscheck:
    """Compare λmax, λmin and trace of one scope with PyHessian, curvlinops and eigenthings."""

    run_folder: tyro.conf.Positional[Path]
    """The run folder."""
    scope: str = "class/0"
    """Which samples: a class (class/3), a group, or overall."""
    checkpoint: str = "last"
    """last, best or an epoch."""
    samples: int | None = None
    """Use at most this many of the scope's samples, drawn at random with seed. Default: all."""
    batch_size: int = 128
    """Samples a batch, of every tool."""
    seed: int = 0
    """Seed of the draw and of our probes."""

    def run(self) -> None:
        """Execute the command."""
        self._check()
        out = console()
        from cli.commands.crosscheck_peers import PEERS, ask
        from landscape.device import keep_freed_memory
        from landscape.subject.evaluation_copy import evaluation_copy

        keep_freed_memory()
        subject, scope, name = self._opened()
        chosen = drawn(subject, scope, self.samples, self.seed)
        batches = list(subject.data.batches(chosen, self.batch_size))
        answers = [self._ours(subject, chosen)]
        for peer in PEERS:
            answers.append(ask(peer, evaluation_copy(subject.model, fold_batchnorm=False), batches))
            out.print(f"asked {peer}: {answers[-1].seconds:.1f} s")
        out.print(_table(answers, f"{self.scope} of {name}, {len(chosen)} samples"))
        closing(out, [], [f"tailscape diagnose {self.run_folder} --scopes {self.scope}"])

    def _check(self) -> None:
        """Refuse values out of range.

        Raises:
            InputError: naming the option.
        """
        for option, given in (("samples", self.samples), ("batch-size", self.batch_size)):
            if given is not None and given < 1:
                raise InputError(f"--{option} is {given}; it must be at least 1")

    def _opened(self) -> "tuple[Subject, Scope, str]":
        """Open the checkpoint, with the scope by the split that the run was trained with.

        Raises:
            InputError: the run cannot be used, or the scope is not one set of samples.
        """
        from landscape.device import choose_device
        from trainers.reopen import open_run_data, open_subject
        from trainers.runs.folder import RunFolder

        folder, device = RunFolder(self.run_folder), choose_device("auto")
        split = folder.plan().split
        names = run_checkpoints(folder, self.checkpoint)
        if len(names) != 1:
            raise InputError(f"--checkpoint {self.checkpoint} is several; give one of them")
        subject = open_subject(folder, names[0], open_run_data(folder, device), device)
        scopes = subject.scopes((self.scope,), split)
        if len(scopes) != 1:
            found = f"{len(scopes)} of them" if scopes else "empty in this run"
            raise InputError(
                f"--scope {self.scope} is {found}; give one set of samples, such as class/0, tail "
                "or overall"
            )
        return subject, scopes[0], names[0]

    def _ours(self, subject: "Subject", chosen: "torch.Tensor") -> "Answer":
        import torch

        from cli.commands.crosscheck_peers import Answer
        from landscape.curvature.operator import CurvatureOperator
        from landscape.curvature.operator_spectrum import operator_spectrum
        from landscape.subject.subject import Selection

        weights = torch.full((len(chosen),), 1 / len(chosen), dtype=torch.float64)
        started = time.perf_counter()
        selection = Selection(chosen, weights)
        operator = CurvatureOperator(subject, selection, batch_size=self.batch_size)
        generator = torch.Generator().manual_seed(self.seed)
        found = operator_spectrum(operator, SpectrumConfig(), generator)
        note = (
            f"λmax ± {found.high.bound:.1g}, λmin ± {found.low.bound:.1g}, "
            f"trace ± {found.trace.sem:.2g}"
        )
        values = (found.high.value, found.low.value, found.trace.value)
        seconds = time.perf_counter() - started
        return Answer("tailscape", *values, operator.products, seconds, note, found.trace.sem)


def drawn(
    subject: "Subject", scope: "Scope", samples: int | None = None, seed: int = 0
) -> "torch.Tensor":
    """Draw samples of a scope, each as likely as any other, so that its plain mean stays its mean.

    Args:
        subject: whose data they are.
        scope: the classes.
        samples: at most so many; default: all.
        seed: of the draw.

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


def _table(answers: "list[Answer]", title: str) -> Table:
    ours = answers[0]
    table = Table(title=title, box=None, caption="in brackets: difference from tailscape's value")
    table.add_column("tool")
    for column in ("λmax", "λmin", "trace", "products", "seconds"):
        table.add_column(column, justify="right")
    table.add_column("why, where known")
    for answer in answers:
        cells = [
            _cell(getattr(answer, key), getattr(ours, key), answer is ours)
            for key in ("lambda_max", "lambda_min", "trace")
        ]
        table.add_row(
            answer.tool, *cells, str(answer.products), f"{answer.seconds:.1f}", answer.note
        )
    return table


def _cell(value: float, reference: float, is_reference: bool) -> str:
    if is_reference or value != value:
        return f"{value:.5g}"
    return f"{value:.5g} ({value - reference:+.2g})"
