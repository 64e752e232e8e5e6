"""Names of checkpoints: epochs, such as ``epoch_0100``, and others, such as ``best``."""

import re
from collections.abc import Iterable

_EPOCH = re.compile(r"epoch_([0-9]{4,9})")
_STEP = re.compile(r"step_([0-9]{6,9})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=-]{0,199}")


def is_name(text: str) -> bool:
    """Tell whether a text is a valid name of a checkpoint; a path is not."""
    return _NAME.fullmatch(text) is not None


def epoch_of(name: str) -> int | None:
    """Read the epoch from a name such as ``epoch_0100``; None from any other."""
    found = _EPOCH.fullmatch(name)
    return int(found[1]) if found else None


def checkpoint_label(name: str) -> str:
    """Write a checkpoint's name for readers: ``epoch 100``, ``step 50``, ``best``."""
    epoch, step = epoch_of(name), _STEP.fullmatch(name)
    if epoch is not None:
        return f"epoch {epoch}"
    return f"step {int(step[1])}" if step else name


def epochs(names: Iterable[str]) -> list[str]:
    """Select the names of epochs, in order."""
    return sorted((n for n in names if epoch_of(n) is not None), key=lambda n: (epoch_of(n), n))


def without_epochs(names: Iterable[str]) -> list[str]:
    """Select the names that contain no epoch, in alphabetical order."""
    return sorted(n for n in names if epoch_of(n) is None and is_name(n))


def latest(names: Iterable[str]) -> str | None:
    """Select the last epoch, or without epochs the last name."""
    known = list(names)
    found = epochs(known) or without_epochs(known)
    return found[-1] if found else None
