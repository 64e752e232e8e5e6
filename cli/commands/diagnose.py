"""``tailscape diagnose``: from a run's checkpoints to result files and the class table."""

from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.progress import Progress, TaskID

from cli.console import closing, console, progress_bar
from cli.sources.chosen import chosen_checkpoints
from cli.sources.external_config import ExternalConfig
from cli.tables import accuracy_table, class_table, graphs_line, left_out, summary
from cli.units.engine import EngineConfig, run_units
from cli.units.evaluation import lines_of, read_evaluations
from landscape.analyses.catalogue import ANALYSES, RELEASED_SPECTRUM, differing_settings
from landscape.config import DiagnoseConfig
from landscape.errors import InputError, quoted, unknown
from landscape.groups import numbered_scopes, scope_classes
from landscape.results.matrix import MatrixSpec

if TYPE_CHECKING:
    from cli.units.unit import Unit
    from trainers.runs.folder import RunFolder


@dataclass(frozen=True)
class Diagnose:
    """Diagnose checkpoints of a run, or of an external model; results that exist are kept."""

    run_folder: tyro.conf.Positional[Path | None] = None
    """The run folder; or give model, weights, data and out."""
    options: Annotated[DiagnoseConfig, tyro.conf.arg(name="")] = field(
        default_factory=DiagnoseConfig
    )
    """What to compute."""
    outside: Annotated[ExternalConfig, tyro.conf.arg(name="")] = field(
        default_factory=ExternalConfig
    )
    """An external model."""
    engine: Annotated[EngineConfig, tyro.conf.arg(name="")] = field(default_factory=EngineConfig)
    """How the work is spread."""

    def run(self) -> None:
        """Execute the command."""
        for name in self.options.analyses:
            if name not in ANALYSES:
                raise unknown("analysis", name, ANALYSES)
        self.options.check()
        if read_evaluations(self.options.eval) and "accuracy" not in self.options.analyses:
            raise InputError("--eval is for the analysis accuracy; add it to --analyses")
        self.engine.check()
        from landscape.device import keep_freed_memory
        from landscape.distributed import process_group

        keep_freed_memory()
        with process_group() as writes:
            self._run(console(), writes)

    def _run(self, out: Console, writes: bool) -> None:
        from cli.units.unit import Unit

        options = self.options
        folder, names = self._opened(out, writes)
        stored = folder.config()
        options = replace(options, split=options.split or stored["plan"].get("split"))
        scopes = numbered_scopes(options.scopes, stored["class_names"])
        scope_classes(scopes, stored["class_counts"], options.split)
        options = replace(options, scopes=scopes)
        outside = None if self.run_folder else self.outside
        units = [
            Unit(folder.path, name, analysis, config, outside)
            for name in names
            for analysis in options.analyses
            for config in _configs(analysis, options)
        ]
        wrote = self._run_units(units, out, writes)
        if not writes:
            return
        self._print_tables(folder.path, names, out)
        shown = [next(u for u in units if u.analysis == a) for a in options.analyses]
        for line in dict.fromkeys(left_out(unit.output) for unit in shown):
            if line is not None:
                out.print(line)
        closing(out, wrote, [_figure_command(unit, len(names) > 1) for unit in shown])

    def _run_units(self, units: "list[Unit]", out: Console, writes: bool) -> list[object]:
        """Run the units that are not done; list the files written, also where one fails."""
        from landscape.distributed import wait_for_all

        kept = [] if self.options.overwrite else [unit for unit in units if _is_done(unit)]
        wait_for_all()  # nothing is written before all have looked
        for unit in kept:
            out.print(f"kept {unit.output}{_difference(unit.output, unit.config)}")
        todo = [unit for unit in units if unit not in kept]
        wrote: list[object] = []
        try:
            with progress_bar(out) as bar:
                task = bar.add_task("diagnose", total=len(units), completed=len(kept))
                report = partial(_show_scope, bar, task)
                for _, path in run_units(todo, self.engine, report, writes=writes):
                    wrote.append(path)
                    bar.advance(task)
        except InputError:
            closing(out, wrote, [])
            raise
        return wrote

    def _opened(self, out: Console, writes: bool) -> "tuple[RunFolder, list[str]]":
        """Find the folder of results and the checkpoints to diagnose.

        Raises:
            InputError: neither a run nor a whole external model is given, or both are.
        """
        from trainers.runs.folder import RunFolder

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
        return folder, names

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
                    table = None if shown else accuracy_table(run, name)
                else:
                    table = summary(run, name, analysis)
                if table is not None:
                    out.print(table)
            line = None if released else graphs_line(run, name, stored)
            if line is not None and "spectrum" in self.options.analyses:
                out.print(line)
            for other in lines_of(run, name, read_evaluations(self.options.eval)):
                out.print(other)


def _configs(analysis: str, options: DiagnoseConfig) -> list[DiagnoseConfig]:
    """Split settings by file: each seed of random directions, and each set of other images."""
    alone = replace(options, eval=())
    if analysis == "accuracy":
        parts = [part for one in read_evaluations(options.eval) for part in one.parts()]
        return [alone, *(replace(options, eval=(part.word,)) for part in parts)]
    if analysis != "surface":
        return [alone]
    return [
        replace(alone, surface=replace(options.surface, seeds=(seed,)))
        for seed in options.surface.seeds
    ]


def _figure_command(unit: "Unit", several: bool) -> str:
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
) -> "tuple[RunFolder, list[str]]":
    """Open an external model, and read its last checkpoint before anything is written."""
    config.check()
    from cli.sources.external import open_external_source, prepare_folder
    from landscape.device import choose_device
    from landscape.distributed import wait_for_all
    from trainers.runs.folder import RunFolder

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
    return RunFolder(config.out), names


def _is_done(unit: "Unit") -> bool:
    """Tell whether a result is finished, and not older than its checkpoint."""
    checkpoint = unit.weights_file
    if not unit.output.is_file():
        return False
    if unit.analysis == "surface":
        from landscape.results.load import read_record
        from landscape.results.surface import Surface

        if not read_record(unit.output, Surface)[0].done.all():
            return False
    return not checkpoint.is_file() or unit.output.stat().st_mtime >= checkpoint.stat().st_mtime


def _say_if_unfinished(folder: "RunFolder", name: str, out: Console) -> None:
    metrics = folder.metrics()
    reached, kept = (metrics[-1]["epoch"] if metrics else 0), int(name.removeprefix("epoch_"))
    if reached > kept:
        out.print(
            f"the run has reached epoch {reached}; its last kept checkpoint is {name}, and that is "
            "diagnosed"
        )


def run_checkpoints(folder: "RunFolder", asked: str) -> list[str]:
    """Resolve ``last``, ``best``, ``all`` or a list of epochs to a run's checkpoints.

    Raises:
        InputError: the run has no checkpoint, or an epoch is not among those saved.
    """
    saved = folder.checkpoint_names()
    if not saved:
        raise InputError(f"'{folder.path}' has no checkpoint yet; run 'tailscape train' on it")
    kept = {path.stem for path in folder.checkpoint("*").parent.glob("*.pt")} - {"last"}
    return chosen_checkpoints(saved, asked, kept)


def _show_scope(bar: Progress, task: TaskID, unit: "Unit", scope: str) -> None:
    bar.update(task, description=f"{unit.checkpoint} {unit.analysis} {scope}")


def _difference(path: Path, options: DiagnoseConfig) -> str:
    """Name the settings in which an existing result differs from those asked for."""
    from landscape.results.load import load_provenance

    provenance = load_provenance(path)
    stored = provenance.config["diagnose"]
    differing = differing_settings(provenance.analysis, stored, options.plain())
    if not differing:
        return ""
    return f", made with another {', '.join(differing)}; --overwrite to redo it"
