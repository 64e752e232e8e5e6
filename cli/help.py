"""What the parser prints: help, a group of options at a time, and completion for shells."""

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from textwrap import fill
from typing import TypeVar

from cli.help_layout import BOX, error_laid_out, laid_out
from figures.catalogue import FIGURES
from landscape.analyses.catalogue import ANALYSES
from landscape.errors import unknown
from landscape.results.plugins import PLUGINS
from trainers.methods.grammar import KINDS

Parsed = TypeVar("Parsed")
Parse = Callable[[Sequence[str]], object]
_WORDS = ("--help", "-h")
_ALWAYS = ("positional arguments", "options", "subcommands")
_ALL = "all"
_ADD_TO = {
    "train": ("losses", "weightings", "samplers", "rules", "stages"),
    "diagnose": ("analyses",),
    "figure": ("figures",),
}


def wants_help(arguments: Sequence[str]) -> bool:
    """Tell whether the arguments ask for help, or for that of a group."""
    return any(word in _WORDS for word in arguments)


def help_text(parse: Parse, name: str, arguments: Sequence[str]) -> str:
    """Write a command's help: its own options, and where those of its groups are.

    Args:
        parse: parses arguments, and prints the whole help for ``--help``.
        name: of the command.
        arguments: ``--help``, ``--help GROUP`` or ``--help all``.

    Raises:
        InputError: there is no such group.
    """
    text = laid_out(_printed(parse, ["--help"]))
    boxes = {found[1].removesuffix(" options"): found[0] for found in BOX.finditer(text)}
    groups = [title for title in boxes if title not in _ALWAYS]
    at = next(k for k, word in enumerate(arguments) if word in _WORDS)
    asked = "".join(arguments[at + 1 : at + 2])
    if not groups or asked == _ALL:
        return text + _added(name)
    if not asked or asked.startswith("-"):
        text = BOX.sub(lambda box: box[0] if box[1] in _ALWAYS else "", text)
        further = fill(f"further groups: {', '.join(groups)}", 80)
        text += f"{_added(name)}{further}\n"
        return f"{text}next: tailscape {name} --help GROUP, or {_ALL}\n"
    if asked not in groups:
        raise unknown("group of options", asked, [*groups, _ALL])
    return boxes[asked]


def commands_text(parse: Parse) -> str:
    """Write the help of the whole: its commands.

    Args:
        parse: parses arguments, and prints the help for ``--help``.
    """
    return laid_out(_printed(parse, ["--help"]))


def _added(command: str) -> str:
    """List what other packages add to a command's words."""
    own = _ADD_TO.get(command, ())
    tables: list[Mapping[str, object]] = [ANALYSES, FIGURES, *KINDS.values()]
    for table in tables:
        list(table)  # which reads what others add
    listed = [f"{p.name} ({p.group}, package {p.package})" for p in PLUGINS if p.group in own]
    return f"of other packages: {', '.join(listed)}\n" if listed else ""


def completion_script(parse: Parse, shell: str) -> str:
    """Write the script that completes commands and options in a shell.

    Args:
        parse: parses arguments of all commands.
        shell: bash, zsh or tcsh.
    """
    lines = _printed(parse, ["--tyro-print-completion", shell]).splitlines(keepends=True)
    # a description of several lines would be offered as words
    return "".join(
        line.replace("\\n", " ") if line.startswith("COMPLETION_SPEC") else line for line in lines
    )


def parsed(parse: Callable[[], Parsed]) -> Parsed:
    """Parse arguments; what the parser says of wrong ones flows to the terminal's width.

    Raises:
        SystemExit: the parser ends the program, as it does on wrong arguments.
    """
    written, aside = _utf8(), _utf8()  # the parser looks at the encoding of the standard output
    try:
        with redirect_stdout(aside), redirect_stderr(written):
            return parse()
    finally:
        print(_text(aside), end="")
        print(error_laid_out(_text(written)), end="", file=sys.stderr)


def _printed(parse: Parse, arguments: Sequence[str]) -> str:
    """Collect what is printed."""
    written = _utf8()
    with redirect_stdout(written), suppress(SystemExit):
        parse(arguments)
    return _text(written)


def _utf8() -> "io.TextIOWrapper[io.BytesIO]":
    """Make a file in memory, in an encoding that has the lines of boxes."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")


def _text(written: "io.TextIOWrapper[io.BytesIO]") -> str:
    written.flush()
    return written.buffer.getvalue().decode("utf-8")
