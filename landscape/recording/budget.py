"""Keep what a recorder takes within a share of the training time, both measured."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from landscape.deadline import Deadline, OutOfTime, within
from landscape.errors import InputError

_CAUTION = 1.25  # of what the next record is expected to take
_FADES = 0.8  # of what was expected, after each record


class Budget:
    """Clock of a training and of what is measured beside it.

    Args:
        share: such as ``"2%"`` or 0.02 of the training time without the recorder's; ``None`` sets
            no limit.

    Attributes:
        training: seconds outside the recorder, from its first step on.
        spent: seconds inside.
        expected: seconds of the next record, by those so far.

    Raises:
        InputError: no share above zero.
    """

    def __init__(self, share: str | float | None) -> None:
        self.share = _read(share)
        self.training = self.spent = self.expected = 0.0
        self._left: float | None = None
        self._entered = self._stretch = 0.0

    def enter(self, *, waits: bool = True) -> None:
        """Stop the training's clock and start the recorder's.

        Args:
            waits: for what the training has queued on a GPU.
        """
        self._entered = _now(waits)
        if self._left is not None:
            self.training += self._entered - self._left

    def leave(self, *, waits: bool = True) -> None:
        """Stop the recorder's clock."""
        self._left = _now(waits)
        self.spent += self._left - self._entered

    def allows(self, seconds: float | None = None) -> bool:
        """Tell whether so many further seconds are within the share; default: another record."""
        return (_CAUTION * self.expected if seconds is None else seconds) <= self.remaining()

    def remaining(self) -> float:
        """Seconds that may still be spent by now."""
        if self.share is None:
            return math.inf
        return self.share * self.training - self.spent - self.inside()

    def inside(self) -> float:
        """Seconds since the recorder's clock was started."""
        return _now() - self._entered

    @contextmanager
    def limited(self, reserved: float) -> Iterator[None]:
        """Break off what is computed inside when the share is spent, but for a reserve in seconds.

        Raises:
            OutOfTime: it was; twice as much is expected from now on.
        """
        if self.share is None:
            yield
            return
        began = _now()
        deadline = Deadline(began + self.remaining() - reserved, self._stretch, _now)
        try:
            with within(deadline):
                deadline.check()
                yield
        except OutOfTime:
            self.expected = max(2 * (_now() - began + reserved), self.expected)
            raise
        finally:
            self._stretch = deadline.stretch

    def took(self, seconds: float) -> None:
        """Expect as much of the next record, or nearly what was expected before."""
        self.expected = max(seconds, _FADES * self.expected)

    @property
    def spent_share(self) -> float:
        """Seconds spent, as a share of the training time; 0 before any."""
        return self.spent / self.training if self.training else 0.0


def _now(waits: bool = True) -> float:
    if waits and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


def _read(share: str | float | None) -> float | None:
    if share is None:
        return None
    text = str(share).strip()
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise InputError(f"budget is {share!r}; give a share of the training time, such as '2%'")
    return value
