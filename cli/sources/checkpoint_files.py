"""Checkpoint files of an external model, named by the epoch or step that they or names say."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from cli.sources.hub import weights_path
from landscape.errors import InputError
from landscape.results.checkpoint_names import UNITS, numbered, ordered, unit_of
from landscape.subject.weights_file import INDEX, SUFFIXES, stored_counts

_COUNTED = re.compile(
    r"(?:(?P<step>steps?|iter(?:ation)?s?)|epochs?|eps?|checkpoints?|ckpts?)[-_=]?0*(\d+)(?![\d.])",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"(?<![\d.])(\d+)(?![\d.]*\d)")
_CHOSEN = re.compile(r"(?:^|[-_.])best(?:$|[-_.])", re.IGNORECASE)
_STATES = re.compile(  # of optimisers and the like, beside the weights
    r"(?:optimi[sz]er|scheduler|rng_state|training_args|trainer_state|scaler|random_states)",
    re.IGNORECASE,
)
_SHARD = re.compile(r"-\d+-of-\d+\.")
_FOLDER = re.compile(r"(checkpoint|epoch|step)[-_]?(\d+)$", re.IGNORECASE)
_UNUSABLE = re.compile(r"[^A-Za-z0-9_.=-]")


def checkpoint_files(weights: Path, *, download: bool = False) -> dict[str, Path]:
    """Name the checkpoint files, in the order of training.

    The number of an epoch or a step is what the file itself says (``epoch``, ``global_step``), or a
    number after such a word in its name (``epoch=12-step=300.ckpt``, ``checkpoint-12.pth``), or the
    one whole number in which the names of several files differ. By its epoch, a file is called
    ``epoch_0012``; by its step ``step_000300``, where it says no epoch or several are of one epoch.
    Others keep their names, and so does one that is called the best: it is that of some epoch, and
    not the last.

    Args:
        weights: a file; or a folder of files or of folders ``checkpoint-N`` as Hugging Face's
            trainer writes them; or ``hf:`` and a name on its hub.
        download: fetch what the hub's cache does not hold.

    Returns:
        Files by name; the course of the training first, in order.

    Raises:
        InputError: there is none, or two files have the same name.
    """
    weights = weights_path(weights, download=download)
    files = _weight_files(weights) if weights.is_dir() else [weights]
    if not files:
        raise InputError(f"'{weights}' holds no checkpoint ({', '.join(SUFFIXES)})")
    numbers = _varying(files)
    counts = {path: _counts(path, numbers.get(path)) for path in files}
    named = [(_name(path, counts[path], UNITS), path) for path in files]
    if len(dict(named)) < len(named):
        named = [(_name(path, counts[path], UNITS[::-1]), path) for path in files]
    twice = [name for name, count in Counter(name for name, _ in named).items() if count > 1]
    if twice:
        same = ", ".join(path.name for name, path in named if name == twice[0])
        raise InputError(
            f"{same} in '{weights}' are all of one {unit_of(twice[0])}; keep one, or give them "
            "other numbers"
        )
    found = dict(named)
    return {name: found[name] for name in ordered(found)}


def part_files(parts: Sequence[str], checkpoint: str, *, download: bool = False) -> dict[Path, str]:
    """Find the files of further parts of a model at a checkpoint, and the prefix of each.

    Args:
        parts: words such as ``fc=head.pt``.
        checkpoint: its name, which one of a folder of files has to have.
        download: as for :func:`checkpoint_files`.

    Raises:
        InputError: a folder has several checkpoints, and none of this name.
    """
    found = {}
    for word in parts:
        prefix, _, place = word.rpartition("=")
        files = checkpoint_files(Path(place).expanduser(), download=download)
        if len(files) > 1 and checkpoint not in files:
            raise InputError(
                f"--parts {word} holds {', '.join(files)}, and none is called '{checkpoint}' as "
                "the file of --weights; name one file"
            )
        found[files.get(checkpoint) or next(iter(files.values()))] = prefix
    return found


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


def _name(path: Path, counts: Mapping[str, int], units: Sequence[str]) -> str:
    stem = _stem(path)
    if _CHOSEN.search(stem):
        return _usable(stem)
    return next((numbered(unit, counts[unit]) for unit in units if unit in counts), _usable(stem))


def _counts(path: Path, number: int | None) -> dict[str, int]:
    """Find a file's epoch and step: in itself, in its name, in its folder's."""
    found: dict[str, int] = {}
    for word in _COUNTED.finditer(_stem(path)):
        found.setdefault("step" if word["step"] else "epoch", int(word[2]))
    found |= stored_counts(path)
    folder = _FOLDER.search(path.parent.name)
    if not found and folder:
        found = _folder_counts(path.parent, folder[1].lower(), int(folder[2]))
    return {"epoch": number} if not found and number is not None else found


def _folder_counts(folder: Path, word: str, number: int) -> dict[str, int]:
    """Read the step of a folder of Hugging Face's trainer, or what its name says."""
    state = folder / "trainer_state.json"
    if state.is_file():
        number = int(json.loads(state.read_text(encoding="utf-8"))["global_step"])
        word = "step"
    return {"epoch" if word == "epoch" else "step": number}


def _stem(path: Path) -> str:
    name = path.name.removesuffix(INDEX)
    for suffix in (".tar", *SUFFIXES):
        name = name.removesuffix(suffix)
    return name


def _usable(stem: str) -> str:
    return _UNUSABLE.sub("_", stem).lstrip(".") or "weights"
