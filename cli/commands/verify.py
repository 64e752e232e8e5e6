"""``tailscape show --verify``: compare the files of runs with their checksums."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from landscape.errors import InputError
from landscape.results.checksum import check_whole
from landscape.results.load import read_record
from landscape.results.run_folder import is_run, no_run, runs_below
from trainers.runs.folder import RunFolder

_MOST_NAMED = 5


def verify(path: Path, out: Console) -> None:
    """Say of each file of a run, of a folder of runs, or of one file, whether it is whole.

    Args:
        path: of the run, folder or file.
        out: where it is printed.

    Raises:
        InputError: a file is damaged, or there is none.
    """
    bare: list[Path] = []
    damaged: list[InputError] = []
    files = list(_files(path))
    for file in files:
        try:
            if not _has_checksum(file):
                bare.append(file)
        except InputError as error:
            damaged.append(error)
    whole = len(files) - len(bare) - len(damaged)
    out.print(f"{whole} of {len(files)} files have the checksum they were written with")
    if bare:
        names = ", ".join(str(file) for file in bare[:_MOST_NAMED])
        more = f" and {len(bare) - _MOST_NAMED} more" if len(bare) > _MOST_NAMED else ""
        out.print(
            f"{len(bare)} can be read and have none (text, or written before there were "
            f"checksums): {names}{more}",
            soft_wrap=True,
        )
    if damaged:
        sentences = [part for error in damaged for part in ("; ", *error.args)]
        raise InputError(f"{len(damaged)} of {len(files)} files are damaged: ", *sentences[1:])


def _files(path: Path) -> Iterator[Path]:
    """List what carries numbers: configuration, metrics, checkpoints and results."""
    if path.is_file():
        yield path
        return
    runs = [path] if is_run(path) else list(runs_below(path))
    if not runs:
        raise no_run(path)
    for run in runs:
        yield from (f for f in (run / "config.json", run / "metrics.jsonl") if f.is_file())
        yield from sorted((run / "checkpoints").glob("[!.]*.pt"))
        yield from sorted((run / "results").glob("*/[!.]*.h5"))


def _has_checksum(path: Path) -> bool:
    """Check a file by its checksum; one that has none, by what its format can tell."""
    if check_whole(path):
        return True
    if path.suffix == ".h5":
        read_record(path)
    elif path.suffix == ".pt":
        _check_zip(path)
    elif path.name == "config.json":
        RunFolder(path.parent).config()
    elif path.name == "metrics.jsonl":
        RunFolder(path.parent).metrics()
    return False


def _check_zip(path: Path) -> None:
    """Check the CRC-32 of each record of a checkpoint, which torch.load does not look at."""
    try:
        with zipfile.ZipFile(path) as file:
            wrong = file.testzip()
    except (zipfile.BadZipFile, OSError, RuntimeError, ValueError) as error:
        raise InputError(f"'{path}' is not a whole checkpoint ({error})") from error
    if wrong is not None:
        raise InputError(f"'{path}' is not a whole checkpoint ({wrong} has another CRC-32)")
