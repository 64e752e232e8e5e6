"""``tailscape crosscheck``: the same scope through the other tools, side by side."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.table import Table

from cli.console import closing, console
from cli.diagnose import run_checkpoints
from landscape.config import SpectrumConfig

if TYPE_CHECKING:
    from cli.peers import Answer


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
    """Use only the first so many of the scope's samples. Default: all."""
    batch_size: int = 128
    """Samples a batch, of every tool."""

    def run(self) -> None:
        """Execute the command."""
        out = console()
        import torch

        from cli.peers import PEERS, Answer, ask
        from landscape.curvature.operator import CurvatureOperator
        from landscape.curvature.solve import operator_spectrum
        from landscape.device import choose_device, keep_freed_memory
        from landscape.judging import judged_copy
        from landscape.subject import Selection
        from trainers.run import RunFolder
        from trainers.training import open_run_data, open_subject

        keep_freed_memory()
        folder, device = RunFolder(self.run_folder), choose_device("auto")
        (name,) = run_checkpoints(folder, self.checkpoint)[-1:]
        subject = open_subject(folder, name, open_run_data(folder, device), device)
        (scope,) = subject.scopes((self.scope,))
        chosen = subject.select(scope).indices[: self.samples]
        weights = torch.full((len(chosen),), 1 / len(chosen), dtype=torch.float64)
        started = time.perf_counter()
        operator = CurvatureOperator(
            subject, Selection(chosen, weights), batch_size=self.batch_size
        )
        found = operator_spectrum(operator, SpectrumConfig(), torch.Generator().manual_seed(0))
        ours = Answer(
            "tailscape",
            found.high.value,
            found.low.value,
            found.trace.value,
            operator.products,
            time.perf_counter() - started,
            f"λmax ± {found.high.bound:.1g}, λmin ± {found.low.bound:.1g}, "
            f"trace ± {found.trace.sem:.2g}",
        )
        batches = list(subject.data.batches(chosen, self.batch_size))
        answers = [ours]
        for peer in PEERS:
            answers.append(ask(peer, judged_copy(subject.model, fold_batchnorm=False), batches))
            out.print(f"asked {peer}: {answers[-1].seconds:.1f} s")
        out.print(_table(answers, f"{self.scope} of {name}, {len(chosen)} samples"))
        closing(out, [], [f"tailscape diagnose {self.run_folder} --scopes {self.scope}"])


def _table(answers: "list[Answer]", title: str) -> Table:
    ours = answers[0]
    table = Table(title=title, box=None, caption="in brackets: difference from tailscape's value")
    for column in ("tool", "λmax", "λmin", "trace", "products", "seconds", "remarks"):
        table.add_column(column, justify="left" if column in {"tool", "remarks"} else "right")
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
