"""Names of checkpoints: epochs of a training, and all others, such as ``best``."""

import re
from collections.abc import Iterable

_EPOCH = re.compile(r"epoch_([0-9]{4,9})")
_STEP = re.compile(r"step_([0-9]{6,9})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=-]{0,199}")


def is_name(text: str) -> bool:
    """Tell whether a checkpoint may be called so; no path is among them."""
    return _NAME.fullmatch(text) is not None


def epoch_of(name: str) -> int | None:
    """Read the epoch from a name such as ``epoch_0100``; None from any other."""
    found = _EPOCH.fullmatch(name)
    return int(found[1]) if found else None


def words(name: str) -> str:
    """Name a checkpoint for people: ``epoch 100``, ``step 50``, ``best``."""
    epoch, step = epoch_of(name), _STEP.fullmatch(name)
    if epoch is not None:
        return f"epoch {epoch}"
    return f"step {int(step[1])}" if step else name


def epochs(names: Iterable[str]) -> list[str]:
    """Keep the epochs, in order."""
    return sorted((n for n in names if epoch_of(n) is not None), key=lambda n: (epoch_of(n), n))


def others(names: Iterable[str]) -> list[str]:
    """Keep what is no epoch, in the order of the alphabet."""
    return sorted(n for n in names if epoch_of(n) is None and is_name(n))


def latest(names: Iterable[str]) -> str | None:
    """Choose the last epoch, or the last of the others where there is none."""
    known = list(names)
    found = epochs(known) or others(known)
    return found[-1] if found else None
