"""Checkpoints: tensors and plain types only, whole or absent, loadable without running code."""

import io
import pickle
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor, nn

from landscape.errors import InputError
from landscape.results.atomic import atomic_write
from landscape.results.checksum import check_whole, sealed
from landscape.subject.state_dict import mismatch
from landscape.subject.weights_file import DAMAGED

FORMAT = "tailscape-checkpoint/1"


def save_checkpoint(content: dict[str, Any], path: Path) -> None:
    """Write a checkpoint atomically.

    Args:
        content: at least ``model`` (a state dict), ``epoch`` and ``architecture``.
        path: final name.
    """

    def write(file: IO[bytes]) -> None:
        buffer = io.BytesIO()  # torch.save itself says nothing of a full disk
        torch.save({"format": FORMAT, **content}, buffer)
        file.write(sealed(buffer))

    atomic_write(path, write)


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint with ``weights_only=True``.

    Raises:
        InputError: the file is missing, damaged, or not one of ours.
    """
    if not Path(path).is_file():
        raise InputError(f"no checkpoint '{path}'; 'tailscape show RUN' lists those there are")
    check_whole(Path(path))
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (*DAMAGED, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"'{path}' is not a whole checkpoint ({reason}); train again, or take another epoch"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"'{path}' is no checkpoint of this program (format '{FORMAT}')")
    return content


def load_weights(model: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Load a state dict into a model of the same architecture.

    Raises:
        InputError: names or shapes differ; the message lists them.
    """
    own = model.state_dict()
    listed = mismatch(own, state)
    if listed:
        raise InputError(
            f"'{path}' is of another architecture ({listed}); diagnose it with the model it was "
            "trained with"
        )
    model.load_state_dict(own | state)
