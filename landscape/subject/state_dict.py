"""Load state dicts into models, whatever wrapper they were saved from, and hash them.

Names may have the prefixes that wrappers add (``module.``, ``_orig_mod.``, a LightningModule's
attribute).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import torch
from torch import Tensor, nn

from landscape.errors import InputError
from landscape.subject.weights_file import State

_LISTED = 5


@dataclass(frozen=True)
class Loaded:
    """Report of loading a state dict."""

    prefix: str  # taken off the names in the file
    ignored: tuple[str, ...]  # entries of the file outside that prefix
    key: str = ""  # under which the file holds them
    others: tuple[str, ...] = ()  # further state dicts of the file


def load_state(
    model: nn.Module, state: State, path: Path, parts: Mapping[str, Tensor] | None = None
) -> Loaded:
    """Load a state dict into a model, whatever wrapper it was saved from.

    Args:
        model: changed in place.
        state: from :func:`~landscape.subject.weights_file.read_weights`.
        path: of the file, for messages.
        parts: weights of other files by the model's own names; they go before those of the state.

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
    inside |= parts or {}
    inside |= _tied(own, inside)
    ignored = tuple(n for n in bare if not n.startswith(prefix))
    listed = mismatch(own, inside)
    if listed:
        raise InputError(f"'{path}' does not fit the model: {listed}")
    missing = set(own) - set(inside)  # only counts of batches, which old files lack
    found = inside | {name: own[name] for name in missing}
    model.load_state_dict({names[name]: value for name, value in found.items()})
    return Loaded(prefix, ignored)


def _tied(own: Mapping[str, Tensor], found: State) -> State:
    """Find what a file leaves out because another name of the model has the same tensor."""
    held = {value.data_ptr(): found[n] for n, value in own.items() if n in found and value.numel()}
    missing = {name: value.data_ptr() for name, value in own.items() if name not in found}
    return {
        name: held[place]
        for name, place in missing.items()
        if place in held and held[place].shape == own[name].shape
    }


def part_of_model(state: State, prefix: str) -> State:
    """Name a part's weights as the model does: without wrappers, behind the prefix."""
    before = f"{prefix}." if prefix else ""
    return {before + _unwrapped(name): value for name, value in state.items()}


def weights_sha256(model: nn.Module) -> str:
    """Hash names and values of parameters and buffers."""
    return state_sha256(model.state_dict())


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """Hash names and values of a state dict."""
    digest = hashlib.sha256()
    for name, value in state.items():
        digest.update(name.encode())
        raw = value.detach().cpu().contiguous().flatten().view(torch.uint8)  # NumPy has no bfloat16
        digest.update(raw.numpy().tobytes())
    return digest.hexdigest()


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
