"""Errors a person can act on: what was wrong, what was found, what to do."""

from collections.abc import Iterable
from difflib import get_close_matches

_MOST_LISTED = 150


class InputError(ValueError):
    """Something the user gave cannot be used; the message is a sentence that says what to do."""


class ReproducibilityWarning(UserWarning):
    """A computation goes on elsewhere than it began, and may not repeat bit for bit."""


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
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean '{close[0]}'?" if close else "."
    if len(names) <= _MOST_LISTED:
        return InputError(f"unknown {kind} '{name}'{hint} Choose from: {', '.join(names)}")
    near = get_close_matches(name, names, n=10, cutoff=0.3)
    some = f"; those nearest are {', '.join(near)}" if near else ""
    return InputError(f"unknown {kind} '{name}'{hint} There are {len(names)}{some}")
