"""Checkpoint files of an external model, named by the epoch that their file name contains."""

import re
from collections import Counter
from pathlib import Path

from landscape.errors import InputError
from landscape.subject.state_dict import SUFFIXES

_EPOCH = re.compile(r"(?:epoch|ep)[-_=]?0*(\d+)(?!\d)", re.IGNORECASE)
_NUMBER = re.compile(r"(?:^|[-_.=])0*(\d+)(?=$|[-_.=])")
_UNUSABLE = re.compile(r"[^A-Za-z0-9_.=-]")


def checkpoint_files(weights: Path) -> dict[str, Path]:
    """Name the checkpoint files, in the order of training.

    A file whose name contains an epoch (``epoch_12.pt``, ``epoch=12-step=300.ckpt``,
    ``checkpoint-12.pth``) is called ``epoch_0012``; others keep their names.

    Args:
        weights: a file, or a folder of files.

    Returns:
        Files by name; epochs first, in order.

    Raises:
        InputError: there is none, or two files have the same name.
    """
    if not weights.is_dir():
        files = [weights]
    else:
        files = sorted(p for p in weights.iterdir() if p.suffix in SUFFIXES and p.is_file())
        if not files:
            raise InputError(f"'{weights}' holds no checkpoint ({', '.join(SUFFIXES)})")
    named = [(_name(path), path) for path in files]
    twice = [name for name, count in Counter(name for name, _ in named).items() if count > 1]
    if twice:
        same = ", ".join(path.name for name, path in named if name == twice[0])
        raise InputError(
            f"{same} in '{weights}' are all of one epoch; keep one, or give them other numbers"
        )
    return dict(sorted(named, key=lambda pair: (not pair[0].startswith("epoch_"), pair[0])))


def _name(path: Path) -> str:
    stem = path.name.removesuffix(path.suffix).removesuffix(".pth")
    epoch = _EPOCH.search(stem)
    number = int(epoch.group(1)) if epoch else None
    if number is None and (numbers := _NUMBER.findall(stem)):
        number = int(numbers[-1])
    if number is not None:
        return f"epoch_{number:04d}"
    return _UNUSABLE.sub("_", stem).lstrip(".") or "weights"
