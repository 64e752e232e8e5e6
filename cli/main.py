"""The ``tailscape`` command: parse the command line, run one command, report invalid input."""

import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Annotated, Any, Literal, TextIO, get_args

import tyro

from cli.arguments import argument_registry, with_config_file
from cli.commands.compare import Compare
from cli.commands.crosscheck import Crosscheck
from cli.commands.demo import Demo
from cli.commands.diagnose import Diagnose, with_added_settings
from cli.commands.figure import Figure
from cli.commands.inspect import Inspect
from cli.commands.list import List
from cli.commands.report import Report
from cli.commands.show import Show
from cli.commands.sweep import Sweep
from cli.commands.train import Train
from cli.console import print_any_text
from cli.help import commands_text, completion_script, help_text, parsed, wants_help
from landscape.errors import (
    DataWarning,
    DepartureWarning,
    InputError,
    MemoryWarning,
    ReproducibilityWarning,
    Terminated,
    WaitingWarning,
    unknown,
)
from landscape.results.plugins import PluginWarning

DESCRIPTION = (
    "Train classifiers on long-tailed data, and analyse the loss landscape of every class: "
    "minimum or saddle, with error bounds."
)


@dataclass(frozen=True)
class Completion:
    """Print the completion of a shell, as in: source <(tailscape completion bash)."""

    shell: tyro.conf.Positional[Literal["bash", "zsh", "tcsh"]]
    """The shell. For zsh, write the script to a file _tailscape in a folder of $fpath."""

    def run(self) -> None:
        """Execute the command."""
        print(completion_script(partial(_parsed, Command), self.shell), end="")


Command = (
    Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Diagnose, tyro.conf.subcommand("diagnose")]
    | Annotated[Sweep, tyro.conf.subcommand("sweep")]
    | Annotated[Crosscheck, tyro.conf.subcommand("crosscheck")]
    | Annotated[Figure, tyro.conf.subcommand("figure")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[Inspect, tyro.conf.subcommand("inspect")]
    | Annotated[Show, tyro.conf.subcommand("show")]
    | Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[Completion, tyro.conf.subcommand("completion")]
)

_KEPT = "; finished results are kept, and the same command computes the others"
_AFTER_INTERRUPT = {
    "train": "; the same command resumes from the last complete epoch, or from the step at which "
    "SIGTERM came",
    "diagnose": _KEPT,
    "sweep": "; what is trained and computed is kept, and the same command goes on",
    "demo": _KEPT,
}
_FLAT = (tyro.conf.FlagCreatePairsOff,)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; default: ``sys.argv``.

    Returns:
        0; or 2 with one sentence on standard error for invalid input; or 130 when
        interrupted, 143 when terminated.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    warnings.showwarning = _show_warning
    print_any_text()
    try:
        with _ended_by_signals():
            code = _run(given)
        sys.stdout.flush()
        return code
    except InputError as error:
        if os.environ.get("TAILSCAPE_DEBUG"):
            raise
        print(f"tailscape: error: {error.spelled(lambda s: s.flag)}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        if os.environ.get("TAILSCAPE_DEBUG"):
            raise
        print(f"tailscape: error: {_of_system(error)}", file=sys.stderr)
        return 2
    except (RuntimeError, MemoryError) as error:
        # of a training, or of what no batch decides; PyTorch may not be imported here
        if type(error).__name__ not in ("OutOfMemoryError", "MemoryError"):
            raise
        print(
            "tailscape: error: out of memory; take a smaller --batch-size, fewer --jobs, or a "
            "device with more. What is finished is kept",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt as stop:
        print(f"\nstopped{_AFTER_INTERRUPT.get(given[0] if given else '', '')}", file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_: int, __: FrameType | None) -> None:
        raise Terminated

    former = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _of_system(error: OSError) -> str:
    """Say what the system refused: a file that is gone or not ours, a full disk."""
    if error.errno == errno.ENOSPC and error.filename is None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is in its buffer
        return "no room to write the output (disk full)"
    of = "" if error.filename is None else f" of '{error.filename}'"
    reason = error.strerror or str(error) or type(error).__name__
    return (
        f"the system refuses a file{of} ({reason}); what is finished is kept: mend that, and "
        "repeat the command"
    )


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning of Tailscape as one sentence, and others as Python does."""
    text = warnings.formatwarning(message, category, filename, lineno, line)
    own = DataWarning | DepartureWarning | MemoryWarning | ReproducibilityWarning | WaitingWarning
    if issubclass(category, own | PluginWarning):
        text = f"tailscape: warning: {message}\n"
    print(text, file=file or sys.stderr, end="")


def _run(given: list[str]) -> int:
    for word in given:
        if "\0" in word:
            raise InputError(f"{word!r} holds a null character, which no name or number has")
    if given[:1] == ["--version"]:
        from landscape.results.environment import own_version

        print(f"tailscape {own_version()}")
        return 0
    commands = {entry.__metadata__[0].name: get_args(entry)[0] for entry in get_args(Command)}
    name, rest = (given or ["--help"])[0], given[1:]
    if name in ("-h", "--help"):
        print(commands_text(partial(_parsed, Command)), end="")
        return 0
    if name.startswith("-"):
        _parsed(Command, given)
    if name not in commands:
        raise unknown("command", name, commands)
    kind = with_added_settings(commands[name])
    if wants_help(rest):
        print(help_text(partial(_parsed, kind, name=name), name, rest), end="")
        return 0
    if kind is List:
        List.check_words(rest)
    # only this command's options are read, and named where one is mistyped
    words = with_config_file(rest, kind)
    parsed(lambda: _parsed(kind, words, name)).run()
    return 0


def _parsed(kind: Any, arguments: Sequence[str], name: str = "") -> Any:
    with argument_registry():
        return tyro.cli(
            kind,
            prog=f"tailscape {name}".strip(),
            description=None if name else DESCRIPTION,
            args=arguments,
            config=_FLAT,
        )


if __name__ == "__main__":
    sys.exit(main())
