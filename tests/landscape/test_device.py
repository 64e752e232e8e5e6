"""Choosing a device, and the allocator's settings."""

import subprocess
import sys

import pytest
import torch

from landscape.device import choose_device, keep_freed_memory
from landscape.errors import InputError


def test_auto_takes_what_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(InputError, match="finds no CUDA device"):
        choose_device("cuda")


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_settings_are_taken_and_arithmetic_goes_on():
    code = (
        "from landscape.device import keep_freed_memory; import torch\n"
        "assert keep_freed_memory()\n"
        "assert float((torch.ones(3000, 3000) @ torch.ones(3000, 1)).sum()) == 9e6"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr("landscape.device.ctypes.CDLL", lambda _: object())
    assert keep_freed_memory() is False
