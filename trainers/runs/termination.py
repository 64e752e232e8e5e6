"""Note SIGTERM, so that a training ends between two steps and keeps what it has computed."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from landscape.errors import Terminated


@contextmanager
def noted_termination() -> Iterator[Callable[[], bool]]:
    """Note SIGTERM in place of obeying it; a second one is obeyed.

    Signals reach the main thread alone; in others nothing is noted.

    Yields:
        A function that tells whether there was one.
    """
    noted = False

    def note(_: int, __: FrameType | None) -> None:
        nonlocal noted
        if noted:
            raise Terminated
        noted = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    former = signal.signal(signal.SIGTERM, note)
    try:
        yield lambda: noted
    finally:
        signal.signal(signal.SIGTERM, former)
