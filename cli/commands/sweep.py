"""``tailscape sweep``: train a grid of runs, diagnose each, and compare them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.table import Table

from cli.console import about, closing, console, duration, progress_bar
from cli.units.engine import EngineConfig, not_computed
from landscape.errors import InputError, quoted
from landscape.results.table import counted

if TYPE_CHECKING:
    from cli.sweeps.file import Sweep as Asked
    from cli.sweeps.state import Estimate, RunState
    from cli.units.unit import Unit

Failures = list[InputError]


@dataclass(frozen=True)
class Sweep:
    """Train and diagnose what a file describes; the same command goes on where it was stopped."""

    file: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FILE")]]
    """TOML file with the tables [train], [grid], [[run]], [diagnose] and [[figure]]."""
    dry_run: bool = False
    """Print the runs, how far they are, and an estimate of the time, without training."""
    engine: Annotated[EngineConfig, tyro.conf.arg(name="")] = field(default_factory=EngineConfig)
    """How the work is spread."""

    def run(self) -> None:
        """Execute the command.

        Raises:
            InputError: a run or a result could not be computed; the others are.
        """
        from cli.sweeps.file import read_sweep
        from cli.sweeps.state import Estimate, states_of

        self.engine.check()
        out, asked = console(), read_sweep(self.file)
        states = states_of(asked)
        estimate = Estimate(states, without_files=self.dry_run)
        _print_plan(asked, states, estimate, self.engine.jobs, out)
        if self.dry_run:
            out.print("nothing was trained; omit --dry-run to go on")
            return
        failures = self._train([state for state in states if not state.is_trained], out)
        trained = [state for state in states_of(asked) if state.is_trained]
        wrote: list[object] = []
        failures += self._diagnose(asked, trained, wrote, out)
        if trained:
            wrote += _write_table(asked, trained, out)
            failures += _draw(asked, trained, wrote)
        closing(out, wrote, [f"tailscape inspect {quoted(asked.out)}"] if trained else [])
        if failures:
            raise _joined(failures)

    def _train(self, states: "list[RunState]", out: Console) -> Failures:
        """Train the runs that are not; collect what stopped those that could not be."""
        from cli.sweeps.training import train_runs

        if not states:
            return []
        failures: Failures = []
        reached = sum(state.reached for state in states)
        total = [state.epochs for state in states]
        whole = sum(filter(None, total)) if all(total) else None
        with progress_bar(out) as bar:
            task = bar.add_task(
                f"training {counted(len(states), 'run')}", total=whole, completed=reached
            )
            ended = train_runs(
                [state.run for state in states],
                self.engine,
                lambda epochs: bar.update(task, completed=epochs),
            )
            for done, (run, error) in enumerate(ended, 1):
                if error is not None:
                    failures.append(InputError(f"{run.name}: ", *error.args))
                said = "trained" if error is None else "not trained"
                out.print(f"{said} {run.name} ({done} of {len(states)})", soft_wrap=True)
        return failures

    def _diagnose(
        self, asked: "Asked", trained: "list[RunState]", wrote: list[object], out: Console
    ) -> Failures:
        """Compute the results that lack; collect why those that could not be were not."""
        from cli.sweeps.results import lacking
        from cli.units.engine import run_units
        from cli.units.progress import UnitProgress

        parts, failures = lacking(asked, trained)
        failed: list[tuple[Unit, InputError]] = []
        with progress_bar(out) as bar:
            progress = UnitProgress(bar, parts)
            for unit, outcome in run_units(list(parts), self.engine, progress.started):
                progress.finished(unit)
                if isinstance(outcome, InputError):
                    failed.append((unit, outcome))
                else:
                    wrote.append(outcome)
        return [*failures, not_computed(failed, len(parts))] if failed else failures


def _print_plan(
    asked: "Asked", states: "list[RunState]", estimate: "Estimate", jobs: int, out: Console
) -> None:
    """Print the runs, how far they are, and what is left to do."""
    total = 0.0
    table = Table(box=None)
    for name in ("run", "state", "left"):
        table.add_column(name, justify="right" if name == "left" else "left", overflow="fold")
    for state in states:
        seconds = estimate.seconds_left(state)
        total += seconds
        table.add_row(state.run.name, state.text, duration(seconds) if seconds else "-")
    out.print(table)
    trained = sum(state.is_trained for state in states)
    at_once = f", {about(total / jobs)} with {jobs} at once" if jobs > 1 else ""
    out.print(f"{counted(len(states), 'run')} in {asked.out}, {trained} trained", soft_wrap=True)
    if total:
        out.print(f"{about(total)} of training left{at_once}")
    if asked.diagnose is not None:
        named = ", ".join(asked.diagnose.analyses)
        out.print(f"then {named} of each")
    if asked.figures:
        out.print(f"then over all: {', '.join(figure.kind for figure in asked.figures)}")


def _write_table(asked: "Asked", trained: "list[RunState]", out: Console) -> list[object]:
    """Print the accuracies, and write them as Markdown and CSV."""
    from cli.sweeps.table import accuracy_rows, comma_separated, markdown, terminal_table
    from landscape.results.atomic import atomic_write

    rows = accuracy_rows(trained)
    out.print(terminal_table(rows))
    wrote: list[object] = []
    for name, text in (("table.md", markdown(rows)), ("table.csv", comma_separated(rows))):
        atomic_write(asked.out / name, text)
        wrote.append(asked.out / name)
    return wrote


def _draw(asked: "Asked", trained: "list[RunState]", wrote: list[object]) -> Failures:
    """Draw the figures over all trained runs; collect why those that could not be were not."""
    from figures.pages.write import write_figure
    from figures.request import Request
    from figures.runs.folder import RunResults

    failures: Failures = []
    for figure in asked.figures:
        try:
            runs = tuple(RunResults.open(asked.out / state.run.name) for state in trained)
            options = dict(pair.split("=", 1) for pair in figure.options)
            request = Request(runs, figure.checkpoint, figure.scopes, options)
            wrote += write_figure(figure.kind, request, asked.out / "figures")
        except InputError as error:
            failures.append(InputError(f"figure {figure.kind}: ", *error.args))
    return failures


def _joined(failures: Failures) -> InputError:
    """Say all that failed in one sentence."""
    parts = [part for error in failures for part in ("; ", *error.args)]
    return InputError(f"{len(failures)} failed, and the rest is kept: ", *parts[1:])
