"""Recognise run folders, and say what is wrong with a folder that is none."""

from collections.abc import Iterator
from pathlib import Path

from landscape.errors import InputError, quoted

_DEPTH = 3  # folders of folders of runs
_MOST_NAMED = 6


def is_run(path: Path) -> bool:
    """Tell whether a folder is one that ``tailscape train`` or ``tailscape diagnose`` wrote."""
    return (path / "config.json").is_file()


def runs_below(path: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """Find the run folders in a folder, in the order of their names; links are not followed."""
    try:
        entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError:
        return
    for entry in entries:
        if is_run(entry):
            yield entry
        elif depth > 1 and entry.is_dir() and not entry.is_symlink():
            yield from runs_below(entry, depth - 1)


def no_run(path: Path) -> InputError:
    """Build the error for a folder that is no run folder; one that holds runs names them."""
    found = list(runs_below(path))
    missing = f"'{path}' is no run folder (it has no config.json); "
    if not found:
        return InputError(f"{missing}give the folder that 'tailscape train' wrote")
    names = ", ".join(quoted(run) for run in found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return InputError(f"{missing}it holds runs, give one of them: {names}{more}")
