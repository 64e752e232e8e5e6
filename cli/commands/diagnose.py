"""``tailscape diagnose``: from a run's checkpoints to result files and the class table."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, make_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console

from cli.console import closing, console, progress_bar
from cli.sources.chosen import chosen_checkpoints, run_checkpoints
from cli.sources.external_config import ExternalConfig
from cli.sources.made_folder import removed_if_empty
from cli.tables import accuracy_table, class_table, graphs_line, left_out, summary
from cli.units.cost import parts_of
from cli.units.engine import EngineConfig, is_launched, not_computed, run_units
from cli.units.evaluation import lines_of, read_evaluations
from cli.units.kept import difference, is_done
from cli.units.planned import planned_units
from cli.units.progress import UnitProgress
from cli.units.unit import Unit
from landscape.analyses.catalogue import ANALYSES, RELEASED_SPECTRUM, added_settings
from landscape.config import DiagnoseConfig
from landscape.errors import InputError, quoted, unknown
from landscape.results.checkpoint_names import number_of
from landscape.results.matrix import MatrixSpec

if TYPE_CHECKING:
    from trainers.runs.folder import RunFolder


@dataclass(frozen=True)
class Options(DiagnoseConfig):
    """What to compute, as the command line spells it."""

    added: tyro.conf.Suppress[tuple[tuple[str, Any], ...]] = ()  # groups of the command


@dataclass(frozen=True)
class Diagnose:
    """Diagnose checkpoints of a run, or of an external model; results that exist are kept."""

    run_folder: tyro.conf.Positional[Annotated[Path | None, tyro.conf.arg(metavar="[RUN]")]] = None
    """The run folder; or give model, weights, data and out."""
    options: Annotated[Options, tyro.conf.arg(name="")] = field(default_factory=Options)
    """What to compute."""
    outside: Annotated[ExternalConfig, tyro.conf.arg(name="model"), tyro.conf.OmitArgPrefixes] = (
        field(default_factory=ExternalConfig)
    )
    """A model of your own, in place of a run folder."""
    engine: Annotated[EngineConfig, tyro.conf.arg(name="engine"), tyro.conf.OmitArgPrefixes] = (
        field(default_factory=EngineConfig)
    )
    """How the work is spread."""
    config: Path | None = None
    """TOML file with any of these options, in tables such as [spectrum]; flags override them."""
    dry_run: bool = False
    """Print what would be computed, with an estimate of time and memory, without computing it."""

    def run(self) -> None:
        """Execute the command."""
        named = tuple(_spelled(name) for name in self.options.analyses)
        given = getattr(self, "added", None)
        own = added_settings() if given is not None else {}
        added = tuple((name, getattr(given, _field(name))) for name in own)
        asked = replace(self, options=replace(self.options, analyses=named, added=added))
        asked._check()
        with _processes() as writes:
            asked._run(console(), writes)

    def _check(self) -> None:
        """Check names and ranges.

        Raises:
            InputError: naming the option.
        """
        for name in self.options.analyses:
            if name not in ANALYSES:
                raise unknown("analysis", name, ANALYSES)
        self.options.check()
        if read_evaluations(self.options.eval) and "accuracy" not in self.options.analyses:
            raise InputError("--eval is for the analysis accuracy; add it to --analyses")
        self.engine.check()

    def _run(self, out: Console, writes: bool) -> None:
        made = None if self.run_folder else self.outside.out
        with removed_if_empty(made if writes and not self.dry_run else None):
            self._diagnose(out, writes)

    def _diagnose(self, out: Console, writes: bool) -> None:
        run, names, facts = self._opened(out, writes and not self.dry_run)
        outside = None if self.run_folder else self.outside
        units = planned_units(run, names, facts, self.options, outside)
        counts = facts["class_counts"]
        todo = self._todo(units, out)
        if self.dry_run:
            self._tell(todo, counts, out)
            return
        wrote, failures = self._compute(todo, counts, out, writes)
        if not writes:
            return
        error = not_computed(failures, len(units)) if failures else None
        if error is not None and not wrote and not any(unit.output.is_file() for unit in units):
            raise error
        self._print_tables(run, names, out)
        shown = [next(u for u in units if u.analysis == a) for a in self.options.analyses]
        shown = [unit for unit in shown if unit.output.is_file()]
        for line in dict.fromkeys(left_out(unit.output) for unit in shown):
            if line is not None:
                out.print(line)
        closing(out, wrote, [_figure_command(unit, len(names) > 1) for unit in shown])
        if error is not None:
            raise error

    def _todo(self, units: list[Unit], out: Console) -> list[Unit]:
        """List the units that are not done, and say which are kept."""
        kept = [] if self.options.overwrite else [unit for unit in units if is_done(unit)]
        if is_launched():
            from landscape.distributed import wait_for_all

            wait_for_all()  # nothing is written before all have looked
        for unit in kept:
            out.print(f"kept {unit.output}{difference(unit)}", soft_wrap=True)
        return [unit for unit in units if unit not in kept]

    def _compute(
        self, todo: list[Unit], counts: Sequence[int], out: Console, writes: bool
    ) -> tuple[list[object], list[tuple[Unit, InputError]]]:
        """Run units; list the files written, and the units that could not be computed."""
        wrote: list[object] = []
        failures: list[tuple[Unit, InputError]] = []
        if not todo:
            return wrote, failures
        from landscape.device import keep_freed_memory

        keep_freed_memory()
        if self.engine.engine == "serial" and not is_launched():
            from cli.units.estimate import announce

            announce(todo, counts, out)
        with progress_bar(out) as bar:
            progress = UnitProgress(bar, {unit: parts_of(unit, counts) for unit in todo})
            for unit, outcome in run_units(todo, self.engine, progress.started, writes=writes):
                progress.finished(unit)
                if isinstance(outcome, InputError):
                    failures.append((unit, outcome))
                else:
                    wrote.append(outcome)
        failures.sort(key=lambda failure: todo.index(failure[0]))  # Ray ends them in any order
        return wrote, failures

    def _tell(self, todo: list[Unit], counts: Sequence[int], out: Console) -> None:
        """Say what a run would compute, and what it would take."""
        for unit in todo:
            out.print(f"would write {unit.output}", soft_wrap=True)
        if todo:
            from cli.units.estimate import estimate

            out.print(estimate(todo, counts).sentence(), soft_wrap=True)
        out.print("nothing was computed; omit --dry-run to diagnose")

    def _opened(self, out: Console, writes: bool) -> tuple[Path, list[str], dict[str, Any]]:
        """Find the folder of results, the checkpoints to diagnose, and the configuration.

        Raises:
            InputError: neither a run nor a whole external model is given, or both are.
        """
        from trainers.runs.folder import RunFolder

        if self.run_folder is None and self.outside == ExternalConfig():
            raise InputError(
                "give a run folder (tailscape list runs shows them), or a model of your own: "
                "--model MODULE:NAME --weights FILE --data MODULE:NAME --out DIR"
            )
        if self.run_folder is None:
            return _open_outside(self.outside, self.options, out, writes)
        if self.outside != ExternalConfig():
            given = [f.name for f in fields(ExternalConfig) if getattr(self.outside, f.name)]
            raise InputError(
                f"--{given[0].replace('_', '-')} is for a model of your own, and '{self.run_folder}"
                "' is a run folder; give --out in its place, or leave it out"
            )
        folder = RunFolder(self.run_folder)
        folder.plan()
        names = run_checkpoints(folder, self.options.checkpoints)
        if self.options.checkpoints == "last":
            _say_if_unfinished(folder, names[-1], out)
        return folder.path, names, folder.config()

    def _print_tables(self, run: Path, names: list[str], out: Console) -> None:
        released = self.options.protocol == "saddle"
        matrix = MatrixSpec.of(self.options.spectrum, self.options.bn)
        stored = RELEASED_SPECTRUM.name if released else f"spectrum{matrix.suffix}"
        for name in names:
            for analysis in self.options.analyses:
                if analysis == "spectrum":
                    table = class_table(run, name, stored, out.width)
                elif analysis == "accuracy":
                    shown = "spectrum" in self.options.analyses  # it has the accuracies
                    table = None if shown else accuracy_table(run, name, out.width)
                else:
                    table = summary(run, name, analysis, out.width)
                if table is not None:
                    out.print(table)
            line = None if released else graphs_line(run, name, stored)
            if line is not None and "spectrum" in self.options.analyses:
                out.print(line)
            for other in lines_of(run, name, read_evaluations(self.options.eval)):
                out.print(other)


def with_added_settings(command: type) -> type:
    """Extend ``diagnose`` by groups of settings of the analyses that other packages add."""
    found = added_settings() if command is Diagnose else {}
    if not found:
        return command
    groups = [(_field(n), kind, field(default_factory=kind)) for n, kind in found.items()]
    added = make_dataclass("Added", groups, frozen=True)
    item = ("added", Annotated[added, tyro.conf.arg(name="")], field(default_factory=added))
    told = {"__doc__": command.__doc__}
    return make_dataclass("Diagnose", [item], bases=(command,), namespace=told, frozen=True)


def _field(analysis: str) -> str:
    return analysis.replace("-", "_")


def _spelled(analysis: str) -> str:
    """Take the name of an analysis with a dash, too, as its options are spelled."""
    word = analysis.replace("-", "_")
    return word if word in ANALYSES else analysis


@contextmanager
def _processes() -> Iterator[bool]:
    """Join the processes of ``torchrun``; yield whether this is the one that writes."""
    if not is_launched():
        yield True
        return
    from landscape.distributed import process_group

    with process_group() as writes:
        yield writes


def _figure_command(unit: Unit, several: bool) -> str:
    """Write the command that draws a unit's result, of one checkpoint or of several."""
    surface = unit.config.surface
    if unit.kind == "surface" and surface.directions != "random":
        if surface.directions == "pca" and surface.trajectory and surface.dimensions == 2:
            return f"tailscape figure trajectory {quoted(unit.run)}"
        chosen = f"--options directions={surface.directions}"
        return f"tailscape figure surface {quoted(unit.run)} {chosen}"
    command = f"tailscape figure {unit.entry.figures[several]} {quoted(unit.run)}"
    other = unit.kind == "spectrum" and not unit.matrix.is_hessian
    return f"{command} --options matrix={unit.matrix.key}" if other else command


def _open_outside(
    config: ExternalConfig, options: DiagnoseConfig, out: Console, writes: bool
) -> tuple[Path, list[str], dict[str, Any]]:
    """Open an external model, and read its last checkpoint before anything is written."""
    config.check()
    from cli.sources.external import open_external_source, prepare_folder
    from landscape.device import choose_device
    from landscape.distributed import wait_for_all

    source = open_external_source(
        config, choose_device(options.device), options.data_root, options.workers
    )
    names = chosen_checkpoints(source.checkpoint_names(), options.checkpoints, source.files)
    source.subject(names[-1], options.logit_scale)
    for line in source.remarks():
        out.print(line, soft_wrap=True)
    if writes:
        prepare_folder(source)
    wait_for_all()
    assert config.out is not None
    return config.out, names, source.facts


def _say_if_unfinished(folder: "RunFolder", name: str, out: Console) -> None:
    metrics = folder.metrics()
    reached, kept = (metrics[-1]["epoch"] if metrics else 0), number_of(name)
    if reached > kept:
        out.print(
            f"the run has reached epoch {reached}; its last kept checkpoint is {name}, and that is "
            "diagnosed"
        )
