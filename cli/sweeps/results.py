"""The results that the trained runs of a sweep lack."""

from collections.abc import Sequence

from cli.sources.chosen import run_checkpoints
from cli.sweeps.file import Sweep
from cli.sweeps.state import RunState
from cli.units.cost import Parts, parts_of
from cli.units.kept import is_done
from cli.units.planned import planned_units
from cli.units.unit import Unit
from landscape.errors import InputError
from trainers.runs.folder import RunFolder


def lacking(
    sweep: Sweep, trained: Sequence[RunState]
) -> tuple[dict[Unit, Parts], list[InputError]]:
    """List the results to compute, each with what it takes.

    Args:
        sweep: as read.
        trained: its runs that are trained.

    Returns:
        The units, run by run, and why those of some runs cannot be listed.
    """
    found: dict[Unit, Parts] = {}
    failures: list[InputError] = []
    if sweep.diagnose is None:
        return found, failures
    for state in trained:
        folder = RunFolder(sweep.out / state.run.name)
        try:
            facts = folder.config()
            names = run_checkpoints(folder, sweep.diagnose.checkpoints)
            units = planned_units(folder.path, names, facts, sweep.diagnose)
        except InputError as error:
            failures.append(InputError(f"{state.run.name}: ", *error.args))
            continue
        for unit in units:
            if sweep.diagnose.overwrite or not is_done(unit):
                found[unit] = parts_of(unit, facts["class_counts"])
    return found, failures
