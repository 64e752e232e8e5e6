"""Where to compute, without silent fallback."""

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import torch

from landscape.errors import InputError

_CPU_FACTS = Path("/proc/cpuinfo")
DeviceName = Literal["auto", "cpu", "cuda"]


def choose_device(name: DeviceName) -> torch.device:
    """Resolve ``auto`` to the GPU when there is one, to its own under ``torchrun``.

    Raises:
        InputError: ``cuda`` is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "--device cuda, but torch finds no CUDA device; use --device cpu, or install a CUDA "
            "build of torch on a machine with a GPU"
        )
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    own = os.environ.get("LOCAL_RANK")  # torchrun gives each of its processes a GPU
    return torch.device("cuda") if own is None else torch.device("cuda", int(own))


def available_cores() -> int:
    """Count the cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # absent outside Linux
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def machine_name(device: torch.device) -> str:
    """Name the processor that computes, ``NVIDIA H100 80GB HBM3`` or ``AMD EPYC``."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = _CPU_FACTS.read_text(encoding="utf-8").splitlines() if _CPU_FACTS.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@contextmanager
def tensor_cores(*, allowed: bool) -> Iterator[None]:
    """Allow or forbid matrix products and convolutions of float32 tensors to round their factors.

    TF32 on a GPU, bfloat16 or TF32 on a CPU; what was set before, through either of PyTorch's
    interfaces, is restored afterwards.
    """
    with ExitStack() as restored:
        _allow_in_products(restored, allowed)
        _allow_in_convolutions(restored, allowed)
        yield


# Code inside may read the older interface to these settings, which refuses to be read after the
# newer one (torch 2.9 and later) was used alone. So the older one is set, unless the user has set
# the newer one; values are kept and put back by whichever reads and writes them exactly.


def _allow_in_products(restored: ExitStack, allowed: bool) -> None:
    backends: Any = torch.backends
    switches = [backends.cuda.matmul, backends.mkldnn.matmul] if _has_newer() else []
    for switch in switches:
        restored.callback(setattr, switch, "fp32_precision", switch.fp32_precision)
    try:
        precision = torch.get_float32_matmul_precision()
        backends.cuda.matmul.allow_tf32  # noqa: B018 - raises where only the newer one works
    except RuntimeError:
        _set(switches, "tf32" if allowed else "ieee")
        return
    restored.callback(torch.set_float32_matmul_precision, precision)
    torch.set_float32_matmul_precision("high" if allowed else "highest")


def _allow_in_convolutions(restored: ExitStack, allowed: bool) -> None:
    backends: Any = torch.backends
    cpu = [backends.mkldnn.conv, backends.mkldnn.rnn] if _has_newer() else []
    for switch in cpu:
        restored.callback(setattr, switch, "fp32_precision", switch.fp32_precision)
    _set(cpu, "ieee")
    try:
        restored.callback(setattr, backends.cudnn, "allow_tf32", backends.cudnn.allow_tf32)
        backends.cudnn.allow_tf32 = allowed
    except RuntimeError:
        gpu = [backends.cudnn.conv, backends.cudnn.rnn]
        for switch in gpu:
            restored.callback(setattr, switch, "fp32_precision", switch.fp32_precision)
        _set(gpu, "tf32" if allowed else "ieee")


def _has_newer() -> bool:
    return hasattr(torch.backends.cuda.matmul, "fp32_precision")


def _set(switches: list[Any], precision: str) -> None:
    for switch in switches:
        switch.fp32_precision = precision


def keep_freed_memory() -> bool:
    """Let glibc keep large freed blocks for reuse, for a process that may tune it.

    By default it returns them to the system at once, and every pass over a network faults the same
    pages in again: 10 % of a gradient and 10 to 25 % of a recomputed Hessian product, measured on
    ResNet-20 and 32 on two cores.

    Returns:
        Whether the settings were taken; false where the C library is another one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3
    settings = {mmap_threshold: 2**25 - 1, trim_threshold: 2**31 - 1, top_pad: 2**28}
    taken = [mallopt(name, value) for name, value in settings.items()]
    return all(taken)
