"""Which of the saved checkpoints the words of the command line mean."""

import re
from collections.abc import Collection, Sequence

from landscape.errors import InputError
from landscape.results.checkpoint_names import counted, short, spelled, unit_of
from trainers.runs.folder import RunFolder

_BEST = re.compile(r"(?:^|[-_.])best(?:$|[-_.])", re.IGNORECASE)
_FINAL = re.compile(r"(?:^|[-_.])(?:last|final)(?:$|[-_.])", re.IGNORECASE)


def run_checkpoints(folder: RunFolder, asked: str) -> list[str]:
    """Resolve ``last``, ``best``, ``all`` or a list of epochs to a run's checkpoints.

    Raises:
        InputError: the run has no checkpoint, or an epoch is not among those saved.
    """
    saved = folder.checkpoint_names()
    if not saved:
        raise InputError(f"'{folder.path}' has no checkpoint yet; run 'tailscape train' on it")
    kept = {path.stem for path in folder.checkpoint("*").parent.glob("*.pt")} - {"last"}
    return chosen_checkpoints(saved, asked, kept)


def chosen_checkpoints(saved: Sequence[str], asked: str, kept: Collection[str]) -> list[str]:
    """Resolve ``last``, ``all`` or a list of epochs and names.

    Args:
        saved: names in the order of training.
        asked: by the user.
        kept: names that can be asked for.

    Raises:
        InputError: one is not there.
    """
    saved = list(saved)
    if asked == "all":
        return saved
    if asked == "last":
        return [_last(saved)]
    names = []
    for word in asked.split(","):
        name = spelled(word, kept)
        best = [n for n in kept if word == "best" and _BEST.search(n)]
        if len(best) == 1:
            name = best[0]
        if name not in kept:
            known = ", ".join(map(short, (*saved, *sorted(set(kept) - set(saved)))))
            unit = f"{unit_of(name)} " if counted(name) else ""
            raise InputError(f"no checkpoint of {unit}'{word}'; there are {known}")
        names.append(name)
    return names


def _last(saved: list[str]) -> str:
    """Choose the last checkpoint; one that is called the best is not."""
    numbered = [name for name in saved if counted(name)]
    others = [name for name in saved if not _BEST.search(name)]
    final = [name for name in others if _FINAL.search(name)]
    for found in (numbered[-1:], final, others, saved):
        if len(found) == 1:
            return found[0]
    raise InputError(
        f"which of {', '.join(saved)} is the last cannot be told from their names; name some "
        "with --checkpoints"
    )
