"""The console of the commands: tables and lines everywhere, progress only on a terminal."""

import codecs
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn
from rich.text import Text

_WIDTH_OF_FILES = 160
_SPELLING = {
    **{"λ": "lambda", "ρ": "rho", "θ": "theta", "γ": "gamma", "η": "eta", "ε": "eps", "α": "alpha"},
    **{"σ": "sigma", "τ": "tau", "β": "beta", "μ": "mu", "π": "pi", "Σ": "sum", "∇": "grad"},
    **{"≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "±": "+-", "×": "x", "·": "*", "‖": "||"},
    **{"…": "...", "–": "-", "—": "-", "−": "-", "†": "+", "→": "->", "²": "2", "’": "'"},
    **dict.fromkeys("╭╮╰╯│", "|"),
    **{"─": "-", "•": "-"},
}


def console() -> Console:
    """Return the standard output, wide enough for the tables if it is not a terminal.

    Brackets and colons in a user's names are no markup. Of several processes of ``torchrun``, only
    the first prints.
    """
    plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    if os.environ.get("RANK", "0") != "0":
        return Console(quiet=True)
    if sys.stdout.isatty():
        return Console(**plain)
    return Console(width=_WIDTH_OF_FILES, color_system=None, **plain)


def print_any_text() -> None:
    """Let output be written in any encoding: what it lacks is spelled in ASCII."""
    codecs.register_error("tailscape", _spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors != "tailscape":
            stream.reconfigure(errors="tailscape")


def _spelled(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_SPELLING.get(sign, "?") for sign in missing), error.end


class Remaining(ProgressColumn):
    """Time that is left at the pace so far; known once anything is done, however long it took."""

    def __init__(self) -> None:
        super().__init__()
        self._reached: dict[int, tuple[float, float]] = {}  # by task: done, and when it was

    def render(self, task: Task) -> Text:
        """Write the time left, counted down since the last step."""
        elapsed = task.elapsed or 0.0
        done, since = self._reached.get(task.id, (0.0, 0.0))
        if task.completed != done:
            done, since = self._reached[task.id] = task.completed, elapsed
        if not task.total or not done:
            return Text("-:--:--", style="progress.remaining")
        left = max(since * (task.total - done) / done - (elapsed - since), 0.0)
        return Text(clock(left), style="progress.remaining")


def clock(seconds: float) -> str:
    """Write a time as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def duration(seconds: float) -> str:
    """Write a time in words."""
    if seconds < 1:
        return "less than a second"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def about(seconds: float) -> str:
    """Write an estimate of a time in words."""
    return duration(seconds) if seconds < 1 else f"about {duration(seconds)}"


@contextmanager
def progress_bar(out: Console) -> Iterator[Progress]:
    """Show a progress bar, on a terminal only."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        Remaining(),
    )
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as bar:
        yield bar


def with_library(wrote: Sequence[Path], *, embed: bool) -> list[object]:
    """Say of a page among the files that were written what else it needs."""
    needs = " (keep plotly.min.js beside it; --embed writes one file)"
    return [f"{path}{needs}" if path.suffix == ".html" and not embed else path for path in wrote]


def closing(out: Console, wrote: list[object], then: list[str]) -> None:
    """Print the files that a command wrote, and the next commands to type."""
    for item in wrote:
        out.print(f"wrote {item}", soft_wrap=True)
    for command in then:
        out.print(f"next: {command}", soft_wrap=True)
