"""What the parser prints: help, a group of options at a time, and completion for shells."""

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from textwrap import fill

from cli.help_layout import BOX, laid_out
from figures.catalogue import FIGURES
from landscape.analyses.catalogue import ANALYSES
from landscape.errors import unknown
from landscape.results.plugins import PLUGINS
from trainers.methods.grammar import KINDS

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


def _printed(parse: Parse, arguments: Sequence[str]) -> str:
    """Collect what is printed, in an encoding that has the lines of boxes."""
    written = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    with redirect_stdout(written), suppress(SystemExit):
        parse(arguments)
    written.flush()
    return written.buffer.getvalue().decode("utf-8")
