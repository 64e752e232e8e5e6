"""Errors a person can act on: the problem, the value found, the remedy."""

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

_MOST_LISTED = 150


@dataclass(frozen=True)
class Setting:
    """A setting named in a message, which each front spells in its own way."""

    path: str  # of the field in landscape.config.DiagnoseConfig, such as spectrum.trace_probes
    keyword: str = ""  # in Python, where it is another

    @property
    def field(self) -> str:
        """Name as Python spells it."""
        return self.keyword or self.path.rpartition(".")[2]

    @property
    def flag(self) -> str:
        """Name as the command line spells it."""
        return "--" + self.path.replace("_", "-")


class InputError(ValueError):
    """Report input that cannot be used, in a sentence that says what to do.

    Args:
        parts: texts and settings, in the order of the sentence.
    """

    def __init__(self, *parts: str | Setting) -> None:
        super().__init__(*parts)

    def __str__(self) -> str:
        return self.spelled(lambda setting: setting.field)

    def spelled(self, spell: Callable[[Setting], str]) -> str:
        """Write the sentence with settings spelled by a front."""
        return "".join(spell(p) if isinstance(p, Setting) else str(p) for p in self.args)


class Terminated(KeyboardInterrupt):
    """A process was told to end by SIGTERM, as schedulers do before they kill it."""


class DataWarning(UserWarning):
    """Some of the data are left out, or read otherwise than they are stored."""


class MemoryWarning(UserWarning):
    """A computation takes another course than asked for, to keep within a memory budget."""


class ReproducibilityWarning(UserWarning):
    """A computation goes on elsewhere than it began, and may not repeat bit for bit."""


class WaitingWarning(UserWarning):
    """Another process is at what this one needs, and is waited for."""


class DepartureWarning(UserWarning):
    """A run departs from what the paper of its method names."""


def quoted(path: object) -> str:
    """Write a path as a shell reads it, for commands to be copied."""
    return shlex.quote(str(path))


def unknown(kind: str, name: str, choices: Iterable[str]) -> InputError:
    """Build the error for a name that is not in a table.

    Args:
        kind: what the name was meant to be, such as ``"method"``.
        name: what was given.
        choices: the names that exist.

    Returns:
        An :class:`InputError` naming the closest match and the choices; of very many, the nearest.
    """
    names = sorted(choices)
    close = _nearest(name, names, 1, 0.5)
    hint = f"; did you mean '{close[0]}'?" if close else "."
    head, slash, number = name.rpartition("/")
    numbered = [n for n in names if n.startswith(f"{head}/")]
    if slash and number.isdigit() and f"{head}/0" in numbered:
        return InputError(
            f"unknown {kind} '{name}'; there are {len(numbered)}, {head}/0 to "
            f"{head}/{len(numbered) - 1}"
        )
    if len(names) <= _MOST_LISTED:
        return InputError(f"unknown {kind} '{name}'{hint} Choose from: {', '.join(names)}")
    near = _nearest(name, names, 10, 0.3)
    some = f"; those nearest are {', '.join(near)}" if near else ""
    return InputError(f"unknown {kind} '{name}'{hint} There are {len(names)}{some}")


def _nearest(name: str, names: Iterable[str], count: int, cutoff: float) -> list[str]:
    """List the names most like another, whatever their case."""
    lower: dict[str, list[str]] = {}
    for one in names:
        lower.setdefault(one.lower(), []).append(one)
    close = get_close_matches(name.lower(), lower, n=count, cutoff=cutoff)
    return [one for key in close for one in lower[key]][:count]
