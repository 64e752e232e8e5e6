"""Global state of PyTorch that numbers depend on: set inside an analysis, restored behind it.

Inside :func:`controlled_state` gradients are recorded, autocast and TF32 are off, convolutions are
chosen and computed deterministically, and new tensors are float32 on the CPU unless they say
otherwise. What the user set comes back afterwards, and while code of the user's runs
(:func:`user_defaults`) so do the default device and dtype, which that code may rely on.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch

from landscape.device import tensor_cores
from landscape.errors import InputError


@dataclass(frozen=True)
class _Defaults:
    device: torch.device
    dtype: torch.dtype


_USER: ContextVar[_Defaults | None] = ContextVar("user_defaults", default=None)
_OURS = _Defaults(torch.device("cpu"), torch.float32)


@contextmanager
def controlled_state() -> Iterator[None]:
    """Compute inside in a known state, whatever the user has set; restore theirs afterwards."""
    theirs = _Defaults(_default_device(), torch.get_default_dtype())
    token = _USER.set(_USER.get() or theirs)
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            for kind in ("cpu", "cuda"):
                stack.enter_context(torch.autocast(kind, enabled=False))
            stack.enter_context(tensor_cores(allowed=False))
            stack.enter_context(_deterministic_convolutions())
            stack.enter_context(_defaults(_OURS))
            yield
    finally:
        _USER.reset(token)


@contextmanager
def user_defaults() -> Iterator[None]:
    """Run code of the user's with the default device and dtype that the user has set."""
    with _defaults(_USER.get() or _OURS):
        yield


def run(
    function: Callable[..., Any],
    *given: Any,
    named: Mapping[str, Any] | None = None,
    about: Callable[[], str] | None = None,
) -> Any:
    """Call code of the user's, a model's forward pass or a loss, with their own defaults.

    Args:
        function: theirs.
        given: its arguments.
        named: those by keyword.
        about: describes them, for messages.

    Raises:
        InputError: it raised an error, which is named.
    """
    try:
        with user_defaults():
            return function(*given, **(named or {}))
    except (InputError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        name = getattr(function, "__qualname__", type(function).__name__)
        first = str(error).strip().partition("\n")[0]
        on = "" if about is None else f" on {about()}"
        raise InputError(
            f"'{name}' raised {type(error).__name__} when it was called{on}: {first}"
        ) from error


def _default_device() -> torch.device:
    return torch.empty(0).device  # torch.get_default_device of 2.6 fails once None was set


@contextmanager
def _defaults(wanted: _Defaults) -> Iterator[None]:
    device, dtype = _default_device(), torch.get_default_dtype()
    if (device, dtype) == (wanted.device, wanted.dtype):
        yield  # a device context would slow down every call
        return
    torch.set_default_dtype(wanted.dtype)
    try:
        with wanted.device:
            yield
    finally:
        torch.set_default_dtype(dtype)


@contextmanager
def _deterministic_convolutions() -> Iterator[None]:
    backend = torch.backends.cudnn
    before = backend.deterministic, backend.benchmark
    backend.deterministic, backend.benchmark = True, False
    try:
        yield
    finally:
        backend.deterministic, backend.benchmark = before
