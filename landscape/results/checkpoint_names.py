"""Names of checkpoints: of epochs, ``epoch_0100``, of steps, ``step_000050``, and ``best``.

A run's course is its epochs in order, or else its steps. No tensor library is imported here.
"""

import re
from collections.abc import Container, Iterable

_NUMBERED = re.compile(r"(epoch)_([0-9]{4,9})|(step)_([0-9]{6,9})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=-]{0,199}")
UNITS = ("epoch", "step")


def is_name(text: str) -> bool:
    """Tell whether a text is a valid name of a checkpoint; a path is not."""
    return _NAME.fullmatch(text) is not None


def counted(name: str) -> tuple[str, int] | None:
    """Read unit and number of a name such as ``epoch_0100``; ``None`` from any other."""
    found = _NUMBERED.fullmatch(name)
    if found is None:
        return None
    unit, number = (part for part in found.groups() if part is not None)
    return unit, int(number)


def numbered(unit: str, number: int) -> str:
    """Name the checkpoint of an epoch or a step."""
    return f"{unit}_{number:0{4 if unit == 'epoch' else 6}d}"


def unit_of(name: str) -> str:
    """Tell what a checkpoint's number counts; epochs where its name does not say."""
    return (counted(name) or UNITS)[0]


def number_of(name: str) -> int:
    """Read the number of a checkpoint of a course."""
    return int(name.rpartition("_")[2])


def checkpoint_label(name: str) -> str:
    """Write a checkpoint's name for readers: ``epoch 100``, ``step 50``, ``best``."""
    found = counted(name)
    return name if found is None else f"{found[0]} {found[1]}"


def short(name: str) -> str:
    """Write a checkpoint's name as the command line takes it: an epoch by its number."""
    found = counted(name)
    if found is None:
        return name
    return str(found[1]) if found[0] == "epoch" else f"{found[0]}_{found[1]}"


def course(names: Iterable[str]) -> list[str]:
    """Select the epochs in order, or without any the steps."""
    known = list(names)
    for unit in UNITS:
        found = [n for n in known if (counted(n) or ("", 0))[0] == unit]
        if found:
            return sorted(found, key=number_of)
    return []


def ordered(names: Iterable[str]) -> list[str]:
    """Sort names: the course, further steps, then others by the alphabet."""
    known = list(names)
    own = course(known)
    place = {name: k for k, name in enumerate(own)}
    steps = [n for n in known if n not in place and counted(n) is not None]
    others = [n for n in known if counted(n) is None]
    return [*own, *sorted(steps, key=number_of), *sorted(others)]


def latest(names: Iterable[str]) -> str | None:
    """Select the last of the course, or without one the last name."""
    known = list(names)
    found = course(known) or sorted(n for n in known if is_name(n))
    return found[-1] if found else None


def spelled(word: str, known: Container[str]) -> str:
    """Complete a checkpoint's name: 50 is ``epoch_0050``, or else ``step_000050``.

    Args:
        word: by a person: a number, ``step_50``, or a name.
        known: names that there are.
    """
    unit, _, number = word.rpartition("_")
    if unit in UNITS and number.isdigit():
        return numbered(unit, int(number))
    if not word.isdigit():
        return word
    names = [numbered(unit, int(word)) for unit in UNITS]
    return next((name for name in names if name in known), names[0])
