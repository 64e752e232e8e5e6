"""Which data were judged."""

import hashlib

import torch
from torch import Tensor

from landscape.subject.subject import LabelledData

_SAMPLES = 4096


def data_sha256(data: LabelledData) -> str:
    """Hash labelled data.

    Args:
        data: with a method ``fingerprint``, whose answer is taken; or without, and then all labels
            count with the inputs and targets of at most 4096 samples, spread evenly, so that what
            is read from files is not all read once more.
    """
    own = getattr(data, "fingerprint", None)
    if callable(own):
        return str(own())
    digest = hashlib.sha256(_bytes(data.labels))
    count = len(data.labels)
    chosen = torch.linspace(0, count - 1, min(_SAMPLES, count), dtype=torch.float64).long()
    for inputs, targets in data.batches(chosen, 256):
        digest.update(_bytes(inputs))
        digest.update(_bytes(targets))
    return digest.hexdigest()


def _bytes(value: Tensor) -> bytes:
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
