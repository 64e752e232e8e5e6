"""Where to compute, without silent fallback."""

from typing import Literal

import torch

from landscape.errors import InputError

DeviceName = Literal["auto", "cpu", "cuda"]


def choose_device(name: DeviceName) -> torch.device:
    """Resolve ``auto`` to the GPU when there is one.

    Raises:
        InputError: ``cuda`` is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "--device cuda, but torch finds no CUDA device; use --device cpu, or install a CUDA "
            "build of torch on a machine with a GPU"
        )
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)
