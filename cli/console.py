"""The console of the commands: tables and lines everywhere, progress only on a terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_WIDTH_OF_FILES = 160


def console() -> Console:
    """Return the standard output, wide enough for the tables if it is not a terminal.

    Of several processes of ``torchrun``, only the first prints.
    """
    if os.environ.get("RANK", "0") != "0":
        return Console(quiet=True)
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(width=_WIDTH_OF_FILES, highlight=False, color_system=None)


@contextmanager
def progress_bar(out: Console) -> Iterator[Progress]:
    """Show a progress bar, on a terminal only."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as bar:
        yield bar


def closing(out: Console, wrote: list[object], then: list[str]) -> None:
    """Print the files that a command wrote, and the next commands to type."""
    for item in wrote:
        out.print(f"wrote {item}", soft_wrap=True)
    for command in then:
        out.print(f"next: {command}", soft_wrap=True, markup=False)
