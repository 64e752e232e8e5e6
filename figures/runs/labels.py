"""Name runs, scopes and checkpoints for people."""

from collections.abc import Sequence
from typing import Any

from figures.runs.folder import RunResults
from landscape.results import InputError
from landscape.results.matrix import MatrixSpec
from landscape.results.provenance import Provenance


def one_matrix(origins: Sequence[Provenance]) -> MatrixSpec:
    """Name the matrix that all spectra of a figure are of.

    Args:
        origins: of the spectra.

    Raises:
        InputError: they are of different matrices.
    """
    found = {MatrixSpec.stored(origin): f"{origin.config['run']}" for origin in origins}
    if len(found) > 1:
        of = ", ".join(f"{run!r} of the {matrix.name}" for matrix, run in found.items())
        raise InputError(
            f"these spectra are of different matrices ({of}) and do not compare; diagnose the runs "
            "alike, with --overwrite where a folder holds another matrix than its name says"
        )
    return next(iter(found))


def scope_label(scope: str, plan: dict[str, Any]) -> str:
    """Name a scope for people: classes by number and name.

    Args:
        scope: such as ``overall`` or ``class/3``.
        plan: the stored configuration with ``class_names``.
    """
    kind, _, number = scope.partition("/")
    if kind != "class":
        return scope
    name = plan["class_names"][int(number)]
    return f"class {number}" if name == number else f"class {number} ({name})"


def method_label(provenance: Provenance) -> str:
    """Name a run by its method."""
    return str(provenance.config["plan"]["method"])


def run_labels(
    provenances: Sequence[Provenance], runs: Sequence[RunResults] | None = None
) -> list[str]:
    """Name runs by their method, and by their folder where methods repeat; no two alike.

    Args:
        provenances: of a result of each run.
        runs: where they were read, for the folders that runs of one name lie in; these are numbered
            where they cannot be told apart so.
    """
    methods = [method_label(p) for p in provenances]
    return methods if _differ(methods) else run_names(provenances, runs)


def run_names(
    provenances: Sequence[Provenance], runs: Sequence[RunResults] | None = None
) -> list[str]:
    """Name runs by their folders, see :func:`run_labels`."""
    names = [str(p.config["run"]) for p in provenances]
    found = list(names)
    for name in dict.fromkeys(names):
        same = [k for k, other in enumerate(names) if other == name]
        if len(same) > 1:
            apart = None if runs is None else _places([runs[k] for k in same])
            apart = apart or [f"{name} {number}" for number in range(1, len(same) + 1)]
            for k, label in zip(same, apart, strict=True):
                found[k] = label
    return found


def _places(runs: Sequence[RunResults]) -> list[str] | None:
    """Lengthen the folders' names by their parents until they differ, if they do."""
    for parts in range(1, max(len(run.path.resolve().parts) for run in runs) + 1):
        names = [run.longer_name(parts) for run in runs]
        if _differ(names):
            return names
    return None


def _differ(names: Sequence[str]) -> bool:
    return len(set(names)) == len(names)
