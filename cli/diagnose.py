"""``tailscape diagnose``: from a run's checkpoints to result files and the class table."""

import json
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.progress import Progress, TaskID

from cli.console import closing, console, progress_bar
from cli.summaries import FIGURE_OF, summary
from cli.tables import accuracy_table, class_table, graphs_line
from landscape.config import DiagnoseConfig
from landscape.errors import InputError
from landscape.groups import scope_classes

if TYPE_CHECKING:
    from cli.units import Unit
    from trainers.run import RunFolder


@dataclass(frozen=True)
class Diagnose:
    """Diagnose a run's checkpoints, class by class; results that exist are kept."""

    run_folder: tyro.conf.Positional[Path]
    """The run folder."""
    options: Annotated[DiagnoseConfig, tyro.conf.arg(name="")] = field(
        default_factory=DiagnoseConfig
    )
    """What to compute."""

    def run(self) -> None:
        """Execute the command."""
        out, options = console(), self.options
        options.check()
        from cli.analyses import Memory
        from cli.units import Unit, run_unit
        from landscape.device import keep_freed_memory
        from trainers.run import RunFolder

        keep_freed_memory()
        folder = RunFolder(self.run_folder)
        options = replace(options, split=options.split or folder.plan().split)
        scope_classes(options.scopes, folder.config()["class_counts"], options.split)
        names = chosen_checkpoints(folder, options.checkpoints)
        if options.checkpoints == "last":
            _say_if_unfinished(folder, names[-1], out)
        units = [
            Unit(folder.path, name, analysis, config)
            for name in names
            for analysis in options.analyses
            for config in _configs(analysis, options)
        ]
        wrote: list[object] = []
        memory: Memory = {}
        with progress_bar(out) as bar:
            task = bar.add_task("diagnose", total=len(units))
            for unit in units:
                if not options.overwrite and _is_done(unit):
                    out.print(f"kept {unit.output}{_difference(unit.output, unit.config)}")
                else:
                    wrote.append(run_unit(unit, partial(_show_scope, bar, task, unit), memory))
                bar.advance(task)
        self._print_tables(folder.path, names, out)
        figures = [FIGURE_OF[analysis][len(names) > 1] for analysis in options.analyses]
        closing(out, wrote, [f"tailscape figure {figure} {folder.path}" for figure in figures])

    def _print_tables(self, run: Path, names: list[str], out: Console) -> None:
        stored = "spectrum-saddle" if self.options.protocol == "saddle" else "spectrum"
        for name in names:
            for analysis in self.options.analyses:
                if analysis == "spectrum":
                    table = class_table(run, name, stored)
                elif analysis == "accuracy":
                    shown = "spectrum" in self.options.analyses  # it has the accuracies
                    table = None if shown else accuracy_table(run, name)
                else:
                    table = summary(run, name, analysis)
                if table is not None:
                    out.print(table)
        line = graphs_line(run, names[-1]) if stored == "spectrum" else None
        if line is not None and "spectrum" in self.options.analyses:
            out.print(line)


_COMMON = {"dtype", "logit_scale"}
_RELEVANT = {
    "spectrum": {"scopes", "samples_per_class", "split", "spectrum", "bn", "seed", "protocol"},
    "accuracy": {"split", "bn"},
    "surface": {"samples_per_class", "split", "surface"},
    "gradients": {"samples_per_class", "gradients", "seed"},
    "features": {"features", "split", "seed"},
    "similarity": {"similarity", "split", "seed"},
    "sharpness": {"scopes", "samples_per_class", "split", "sharpness", "seed"},
}


def _configs(analysis: str, options: DiagnoseConfig) -> list[DiagnoseConfig]:
    """One a file: a surface of several direction seeds is several."""
    if analysis != "surface":
        return [options]
    return [
        replace(options, surface=replace(options.surface, seeds=(seed,)))
        for seed in options.surface.seeds
    ]


def _is_done(unit: "Unit") -> bool:
    """A result older than its checkpoint is not, nor is a surface with points to come."""
    checkpoint = unit.run / "checkpoints" / f"{unit.checkpoint}.pt"
    if not unit.output.is_file():
        return False
    if unit.analysis == "surface":
        from landscape.results import Surface, load

        if not load(unit.output, Surface)[0].done.all():
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


def chosen_checkpoints(folder: "RunFolder", asked: str) -> list[str]:
    """Resolve ``last``, ``best``, ``all`` or a list of epochs to checkpoint names.

    Raises:
        InputError: the run has no checkpoint, or an epoch is not among those saved.
    """
    saved = folder.checkpoint_names()
    if not saved:
        raise InputError(f"'{folder.path}' has no checkpoint yet; run 'tailscape train' on it")
    if asked == "all":
        return saved
    if asked == "last":
        return saved[-1:]
    names = []
    for word in asked.split(","):
        name = f"epoch_{int(word):04d}" if word.isdigit() else word
        if word.startswith("step_") and word[5:].isdigit():
            name = f"step_{int(word[5:]):06d}"
        if not folder.checkpoint(name).is_file() or name == "last":
            epochs = ", ".join(str(int(s.removeprefix("epoch_"))) for s in saved)
            raise InputError(f"no checkpoint of epoch '{word}'; the run kept {epochs} (and best)")
        names.append(name)
    return names


def _show_scope(bar: Progress, task: TaskID, unit: "Unit", scope: str) -> None:
    bar.update(task, description=f"{unit.checkpoint} {unit.analysis} {scope}")


def _difference(path: Path, options: DiagnoseConfig) -> str:
    """Say in which settings an existing result differs from what is asked for."""
    from landscape.results import load

    _, provenance = load(path)
    stored = provenance.config["diagnose"]
    asked = json.loads(json.dumps(asdict(options), default=str))
    relevant = _RELEVANT[provenance.analysis.partition("-")[0]] | _COMMON
    differing = [n for n in asked if n in relevant and stored.get(n) != asked[n]]
    if not differing:
        return ""
    return f", made with another {', '.join(differing)}; --overwrite to redo it"
