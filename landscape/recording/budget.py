"""Keep what a recorder takes within a share of the training time, both measured."""

import time

import torch

from landscape.errors import InputError

_CAUTION = 1.25  # of the longest record so far, for the next


class Budget:
    """Clock of a training and of what is measured beside it.

    Args:
        share: such as ``"2%"`` or 0.02 of the training time without the recorder's; ``None`` sets
            no limit.

    Attributes:
        training: seconds outside the recorder, from its first step on.
        spent: seconds inside.
        longest: seconds of the longest record.

    Raises:
        InputError: no share above zero.
    """

    def __init__(self, share: str | float | None) -> None:
        self.share = _read(share)
        self.training = self.spent = self.longest = 0.0
        self._left: float | None = None
        self._entered = 0.0

    def enter(self) -> None:
        """Stop the training's clock and start the recorder's."""
        self._entered = _now()
        if self._left is not None:
            self.training += self._entered - self._left

    def leave(self) -> None:
        """Stop the recorder's clock."""
        self._left = _now()
        self.spent += self._left - self._entered

    def allows(self, seconds: float | None = None) -> bool:
        """Tell whether so many further seconds are within the share; default: another record."""
        if self.share is None:
            return True
        wanted = _CAUTION * self.longest if seconds is None else seconds
        return self.spent + self.inside() + wanted <= self.share * self.training

    def inside(self) -> float:
        """Seconds since the recorder's clock was started."""
        return _now() - self._entered

    @property
    def spent_share(self) -> float:
        """Seconds spent, as a share of the training time; NaN before any."""
        return self.spent / self.training if self.training else float("nan")


def _now() -> float:
    if torch.cuda.is_initialized():
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
