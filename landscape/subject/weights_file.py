"""Read the weights out of any checkpoint file, without running code.

State dicts are looked for bare, under ``state_dict``, ``model_state_dict``, ``model`` and their
like, or under the keys that are given, of which each may be a part of the model.
"""

import argparse
import json
import pickle
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landscape.errors import InputError, Setting
from landscape.results.checksum import check_whole

SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".tar")
INDEX = ".index.json"  # of weights in several files, as Hugging Face writes them
_KEYS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params")
_COUNTS = {"epoch": "epoch", "global_step": "step", "step": "step", "iteration": "step"}
_STRANGERS = {"n_averaged", "total_ops", "total_params"}  # of weight averaging and FLOP counters
# plain values that training scripts put beside their weights; none runs code when it is built
_SCALAR = np.float64(0).__reduce__()[0]
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    _SCALAR,
    (_SCALAR, "numpy.core.multiarray.scalar"),  # as NumPy 1 wrote it
    *{type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "?")},
]
# what readers raise on bytes that are no checkpoint
DAMAGED = (
    *(RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError),
    *(struct.error, MemoryError, OverflowError, AssertionError),
)
State = dict[str, Tensor]


@dataclass(frozen=True)
class StoredWeights:
    """Weights of a file, and where they stood in it."""

    state: State
    key: str  # where they were found; empty at the top
    others: tuple[str, ...]  # further state dicts of the file, by their keys


def read_weights(
    path: Path, *, trust_pickle: bool = False, keys: Sequence[str] = ()
) -> StoredWeights:
    """Read the state dict of a checkpoint, onto the CPU.

    Args:
        path: a file of ``torch.save`` or of safetensors, or the index of several of them.
        trust_pickle: unpickle Python objects, which runs whatever code the file holds.
        keys: where to look, such as ``model_ema`` or ``ema.state_dict``; several are parts of one
            model, each with the prefix of its names if they lack it: ``head=classifier``.

    Raises:
        InputError: the file is missing or damaged, would run code, or holds no state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no weights '{path}'; give a checkpoint, or a folder of them")
    content = _content(path, trust_pickle)
    known = dict(_states(content))
    found = _chosen(known, keys, path) if keys else _preferred(known)
    if found is None:
        held = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content)
        inside = ", ".join(name for name in known if name)
        raise InputError(
            f"'{path}' holds no state dict (found {held}); looked for tensors at the top and under "
            f"{', '.join(_KEYS)}"
            + (f". There are tensors under {inside}: name some with " if inside else ""),
            *((Setting("weights_key"),) if inside else ()),
        )
    key, state = found
    mine = {name for name in state if name.rpartition(".")[2] not in _STRANGERS}
    others = tuple(name for name in known if name and name not in key.split(", ") and name != key)
    return StoredWeights({name: state[name] for name in state if name in mine}, key, others)


def read_state(path: Path, *, trust_pickle: bool = False) -> State:
    """Read the state dict of a checkpoint, as :func:`read_weights` does.

    Raises:
        InputError: the file is missing or damaged, would run code, or holds no state dict.
    """
    return read_weights(path, trust_pickle=trust_pickle).state


def stored_counts(path: Path) -> dict[str, int]:
    """Read what a file says of its own ``epoch`` and ``step``, if it does.

    Tensors are not read where the file allows that.
    """
    return dict(_stored_counts(path, path.stat().st_mtime_ns)) if path.is_file() else {}


@lru_cache(maxsize=1024)
def _stored_counts(path: Path, _: int) -> dict[str, int]:
    if path.name.endswith((".safetensors", INDEX)) or _other_kind(path):
        return {}
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (*DAMAGED, pickle.UnpicklingError):
        return {}  # said when the weights are read, or written by an old PyTorch
    if not isinstance(content, Mapping):
        return {}
    found: dict[str, int] = {}
    for name, unit in _COUNTS.items():
        count = content.get(name)
        if isinstance(count, int | float) and float(count).is_integer() and count >= 0:
            found.setdefault(unit, int(count))
    return found


def _content(path: Path, trust_pickle: bool) -> Any:
    what = _other_kind(path)
    if what:
        raise InputError(f"'{path}' is {what}")
    check_whole(path)
    if path.name.endswith(INDEX):
        return _read_parts(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return _unpickled(path) if trust_pickle else _read_plain(path)


def _read_parts(index: Path) -> State:
    """Join the files that an index names."""
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"'{index}' is no index of weights ({error})") from error
    found: State = {}
    for name in names:
        found |= read_state(index.parent / str(name))
    return found


def _states(content: Any, at: str = "", depth: int = 3) -> Iterator[tuple[str, State]]:
    """List the state dicts of a checkpoint by their keys, joined by dots."""
    if isinstance(content, nn.Module):
        content = content.state_dict()
    if not isinstance(content, Mapping):
        return
    if content and all(isinstance(v, Tensor) for v in content.values()):
        yield at, {str(name): value for name, value in content.items()}
    elif depth:
        for name, value in content.items():
            yield from _states(value, f"{at}.{name}".lstrip("."), depth - 1)


def _preferred(known: Mapping[str, State]) -> tuple[str, State] | None:
    if "" in known:
        return "", known[""]
    paths = [*_KEYS, *(f"{outer}.{inner}" for outer in _KEYS for inner in _KEYS)]
    return next(((key, known[key]) for key in paths if key in known), None)


def _chosen(known: Mapping[str, State], keys: Sequence[str], path: Path) -> tuple[str, State]:
    """Join the parts that are asked for."""
    found: State = {}
    for word in keys:
        key, _, prefix = word.partition("=")
        if key not in known:
            raise InputError(
                f"'{path}' has no weights under '{key}'; there are {', '.join(known) or 'none'}"
            )
        found |= {(f"{prefix}." if prefix else "") + n: v for n, v in known[key].items()}
    return ", ".join(word.partition("=")[0] for word in keys), found


def _read_safetensors(path: Path) -> State:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise InputError(
            "safetensors files need a package; pip install 'tailscape[models]' brings it"
        ) from error
    try:
        found: State = load_file(path)
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error
    return found


def _read_plain(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _would_run_code(path, str(error)) from error
    except DAMAGED as error:
        raise _damaged(path, error) from error


def _unpickled(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except (AttributeError, ImportError) as error:
        raise InputError(
            f"'{path}' needs Python code that is not found here ({error}); put it on PYTHONPATH, "
            "or save its state_dict() alone where it is"
        ) from error
    except (*DAMAGED, pickle.UnpicklingError) as error:
        raise _damaged(path, error) from error


def _would_run_code(path: Path, message: str) -> InputError:
    found = re.search(r"GLOBAL ([\w.]+)", message)
    if found is None:
        return _damaged(path, ValueError("its pickle is not one of torch.save"))
    what = f" ({found.group(1)})"
    return InputError(
        f"'{path}' holds more than tensors and plain values{what}, and reading that can run code "
        "the file brings. Save its state_dict() alone; or, if you trust whoever made the file as "
        "you would a program to run, give ",
        Setting("trust_pickle"),
    )


def _damaged(path: Path, error: Exception) -> InputError:
    reason = str(error).splitlines()[0].partition(". ")[0] if str(error) else "it is cut off"
    return InputError(f"'{path}' is no whole checkpoint ({reason})")


def _other_kind(path: Path) -> str:
    """Name what lies there in place of a checkpoint, if it can be told."""
    with path.open("rb") as file:
        start = file.read(200).lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer and not the file itself; fetch it with 'git lfs pull'"
    if start.startswith((b"<!doctype", b"<html")):
        return "a web page, which the server sent in place of the file; download it again"
    if any(name.endswith("constants.pkl") for name in _names_in_zip(path)):
        return "a TorchScript program; save torch.jit.load(FILE).state_dict() and give that"
    return ""


def _names_in_zip(path: Path) -> list[str]:
    """List the names in a zip archive; none where it is none, or a damaged one."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, LookupError):
        return []
