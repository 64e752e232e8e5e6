"""Read the weights of any checkpoint, without running code.

State dicts are looked for bare, under ``state_dict``, ``model_state_dict``, ``model`` and their
like, with the prefixes that wrappers add (``module.``, ``_orig_mod.``, a LightningModule's
attribute).
"""

import argparse
import hashlib
import pickle
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landscape.errors import InputError, Setting

SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".tar")
_KEYS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params")
_LISTED = 5
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
_DAMAGED = (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, struct.error)
State = dict[str, Tensor]


@dataclass(frozen=True)
class Loaded:
    """Report of loading a state dict."""

    prefix: str  # taken off the names in the file
    ignored: tuple[str, ...]  # entries of the file outside that prefix


def read_state(path: Path, *, trust_pickle: bool = False) -> State:
    """Read the state dict of a checkpoint, onto the CPU.

    Args:
        path: a file of ``torch.save`` or of safetensors.
        trust_pickle: unpickle Python objects, which runs whatever code the file holds.

    Raises:
        InputError: the file is missing or damaged, would run code, or holds no state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no weights '{path}'; give a checkpoint, or a folder of them")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    content = _unpickled(path) if trust_pickle else _read_plain(path)
    state = _find_state(content)
    if state is None:
        held = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content)
        raise InputError(
            f"'{path}' holds no state dict (found {held}); looked for tensors at the top and under "
            f"{', '.join(_KEYS)}"
        )
    return state


def load_state(model: nn.Module, state: State, path: Path) -> Loaded:
    """Load a state dict into a model, whatever wrapper it was saved from.

    Args:
        model: changed in place.
        state: from :func:`read_state`.
        path: of the file, for messages.

    Returns:
        What had to be taken off the names, and what was left over.

    Raises:
        InputError: names or shapes differ; the message lists them with the nearest names.
    """
    names = {_unwrapped(name): name for name in model.state_dict()}
    own = {_unwrapped(name): value for name, value in model.state_dict().items()}
    bare = {_unwrapped(name): value for name, value in state.items()}
    prefix = _common_prefix(set(own), set(bare))
    inside = {n.removeprefix(prefix): v for n, v in bare.items() if n.startswith(prefix)}
    ignored = tuple(n for n in bare if not n.startswith(prefix))
    listed = mismatch(own, inside)
    if listed:
        raise InputError(f"'{path}' does not fit the model. {listed}")
    missing = set(own) - set(inside)  # only counts of batches, which old files lack
    found = inside | {name: own[name] for name in missing}
    model.load_state_dict({names[name]: value for name, value in found.items()})
    return Loaded(prefix, ignored)


def weights_sha256(model: nn.Module) -> str:
    """Hash names and values of parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        raw = value.detach().cpu().contiguous().flatten().view(torch.uint8)  # NumPy has no bfloat16
        digest.update(raw.numpy().tobytes())
    return digest.hexdigest()


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
        raise InputError(f"'{path}' is no whole safetensors file ({error})") from error
    return found


def _read_plain(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _would_run_code(path, str(error)) from error
    except _DAMAGED as error:
        raise _damaged(path, error) from error


def _unpickled(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except (AttributeError, ImportError) as error:
        raise InputError(
            f"'{path}' needs Python code that is not found here ({error}); put it on PYTHONPATH, "
            "or save its state_dict() alone where it is"
        ) from error
    except (*_DAMAGED, pickle.UnpicklingError) as error:
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


def _find_state(content: Any, depth: int = 2) -> State | None:
    if isinstance(content, nn.Module):
        return content.state_dict()
    if not isinstance(content, Mapping):
        return None
    if content and all(isinstance(v, Tensor) for v in content.values()):
        return {str(name): value for name, value in content.items()}
    for key in _KEYS:
        if key in content and depth:
            found = _find_state(content[key], depth - 1)
            if found is not None:
                return found
    return None


def _unwrapped(name: str) -> str:
    """Remove the prefixes that DataParallel and torch.compile add."""
    name = name.replace("_orig_mod.", "")
    while name.startswith("module."):
        name = name.removeprefix("module.")
    return name


def _common_prefix(own: set[str], found: set[str]) -> str:
    """Find the prefix of most of the model's names in the file; the shortest of equals."""
    heads = {""} | {
        name[: -len(mine)]
        for mine in list(own)[:_LISTED]
        for name in found
        if name.endswith("." + mine)
    }
    return max(sorted(heads, key=len), key=lambda head: sum(head + n in found for n in own))


def mismatch(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """List the names and shapes in which two state dicts differ, with the nearest names.

    Args:
        own: of the model.
        found: in a file; counts of batches may be missing, as in old files.

    Returns:
        A text, empty where they agree.
    """
    missing = [n for n in own if n not in found and not n.endswith("num_batches_tracked")]
    foreign = [n for n in found if n not in own]
    shapes = [
        f"{n} is {tuple(found[n].shape)}, the model has {tuple(own[n].shape)}"
        for n in own
        if n in found and found[n].shape != own[n].shape
    ]
    parts = [
        ("missing", [_with_nearest(n, foreign) for n in missing]),
        ("not in the model", foreign),
        ("of another shape", shapes),
    ]
    return "; ".join(f"{kind}: {_shortened(names)}" for kind, names in parts if names)


def _with_nearest(name: str, others: list[str]) -> str:
    near = get_close_matches(name, others, n=1, cutoff=0.4)
    return f"{name} (nearest in the file: {near[0]})" if near else name


def _shortened(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
