"""Checkpoint files of an external model, named by what they or their names say of the epoch."""

import json
import re
from collections import Counter
from pathlib import Path

from cli.sources.hub import weights_path
from landscape.errors import InputError
from landscape.subject.weights_file import INDEX, SUFFIXES, stored_epoch

_COUNTED = re.compile(
    r"(?:epoch|ep|steps?|iter(?:ation)?|checkpoint|ckpt)s?[-_=]?0*(\d+)(?![\d.])", re.IGNORECASE
)
_WHOLE = re.compile(r"(?<![\d.])(\d+)(?![\d.]*\d)")
_CHOSEN = re.compile(r"(?:^|[-_.])best(?:$|[-_.])", re.IGNORECASE)
_STATES = re.compile(  # of optimisers and the like, beside the weights
    r"(?:optimi[sz]er|scheduler|rng_state|training_args|trainer_state|scaler|random_states)",
    re.IGNORECASE,
)
_SHARD = re.compile(r"-\d+-of-\d+\.")
_FOLDER = re.compile(r"(?:checkpoint|epoch|step)[-_]?\d+$", re.IGNORECASE)
_UNUSABLE = re.compile(r"[^A-Za-z0-9_.=-]")


def checkpoint_files(weights: Path, *, download: bool = False) -> dict[str, Path]:
    """Name the checkpoint files, in the order of training.

    The number of an epoch is what the file itself says (``epoch``, or else ``global_step``), or a
    number after such a word in its name (``epoch=12-step=300.ckpt``, ``checkpoint-12.pth``), or the
    one whole number in which the names of several files differ; that file is called
    ``epoch_0012``. Others keep their names, and so does one that is called the best: it is that of
    some epoch, and not the last.

    Args:
        weights: a file; or a folder of files or of folders ``checkpoint-N`` as Hugging Face's
            trainer writes them; or ``hf:`` and a name on its hub.
        download: fetch what the hub's cache does not hold.

    Returns:
        Files by name; epochs first, in order.

    Raises:
        InputError: there is none, or two files have the same name.
    """
    weights = weights_path(weights, download=download)
    files = _weight_files(weights) if weights.is_dir() else [weights]
    if not files:
        raise InputError(f"'{weights}' holds no checkpoint ({', '.join(SUFFIXES)})")
    numbers = _varying(files)
    named = [(_name(path, numbers.get(path)), path) for path in files]
    twice = [name for name, count in Counter(name for name, _ in named).items() if count > 1]
    if twice:
        same = ", ".join(path.name for name, path in named if name == twice[0])
        raise InputError(
            f"{same} in '{weights}' are all of one epoch; keep one, or give them other numbers"
        )
    return dict(sorted(named, key=lambda pair: (not pair[0].startswith("epoch_"), pair[0])))


def _weight_files(folder: Path) -> list[Path]:
    """List a folder's weights, or else those of its checkpoint folders."""
    index = sorted(folder.glob(f"*{INDEX}"))
    if index:  # one set of weights in several files
        return index[:1]
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix in SUFFIXES
        and path.is_file()
        and not _STATES.search(path.name)
        and not _SHARD.search(path.name)
    )
    safe = {path.stem for path in found if path.suffix == ".safetensors"}
    if "model" in safe:  # the same weights may lie there as pytorch_model.bin
        found = [path for path in found if path.name != "pytorch_model.bin"]
    if found:
        return found
    inside = sorted(
        path for path in folder.iterdir() if path.is_dir() and _FOLDER.search(path.name)
    )
    return [path for inner in inside for path in _weight_files(inner)[:1]]


def _varying(files: list[Path]) -> dict[Path, int]:
    """Find the one whole number in which names that are otherwise alike differ."""
    alike: dict[str, dict[Path, int]] = {}
    for path in files:
        for number in _WHOLE.finditer(_stem(path)):
            stem = _stem(path)
            rest = stem[: number.start()] + "#" + stem[number.end() :]
            alike.setdefault(rest, {})[path] = int(number[1])
    found: dict[Path, int] = {}
    for group in alike.values():
        if len(group) > 1:
            found |= group
    return found


def _name(path: Path, number: int | None) -> str:
    stem = _stem(path)
    if _CHOSEN.search(stem):
        return _usable(stem)
    counted = _COUNTED.search(stem)
    epoch = stored_epoch(path)
    if epoch is None and counted:
        epoch = int(counted[1])
    if epoch is None and _FOLDER.search(path.parent.name):
        epoch = _folder_epoch(path.parent)
    epoch = number if epoch is None else epoch
    return _usable(stem) if epoch is None else f"epoch_{epoch:04d}"


def _folder_epoch(folder: Path) -> int:
    """Read the step of a folder of Hugging Face's trainer; else the number of its name."""
    state = folder / "trainer_state.json"
    if state.is_file():
        return int(json.loads(state.read_text(encoding="utf-8"))["global_step"])
    return int(re.findall(r"\d+$", folder.name)[0])


def _stem(path: Path) -> str:
    name = path.name.removesuffix(INDEX)
    for suffix in (".tar", *SUFFIXES):
        name = name.removesuffix(suffix)
    return name


def _usable(stem: str) -> str:
    return _UNUSABLE.sub("_", stem).lstrip(".") or "weights"
