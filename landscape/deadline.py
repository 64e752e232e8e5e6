"""Break off long computations when their time is over: asked before every batch and product."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_AHEAD = 1.5  # of the longest stretch between two questions so far, for the next


class OutOfTime(BaseException):
    """The time is over; no handler of errors is to catch it."""


class Deadline:
    """End of the time of a computation.

    Args:
        ends: reading of the clock.
        stretch: seconds that a stretch between two questions may take.
        now: the clock.

    Attributes:
        stretch: the longest seen, or given.
    """

    def __init__(
        self, ends: float, stretch: float = 0.0, now: Callable[[], float] = time.perf_counter
    ) -> None:
        self.stretch = stretch
        self._ends, self._now, self._asked = ends, now, now()

    def check(self) -> None:
        """Break off where the next stretch would end too late."""
        now = self._now()
        self.stretch = max(now - self._asked, self.stretch)
        self._asked = now
        if now + _AHEAD * self.stretch > self._ends:
            raise OutOfTime


_DEADLINE: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def within(deadline: Deadline) -> Iterator[None]:
    """Compute inside until the deadline."""
    token = _DEADLINE.set(deadline)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


def check_time() -> None:
    """Break off where the time is over; without a deadline nothing happens.

    Raises:
        OutOfTime: it is.
    """
    deadline = _DEADLINE.get()
    if deadline is not None:
        deadline.check()
