"""Show in a notebook's cell how far an analysis is."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def notebook_progress(name: str) -> Iterator[Callable[[str], None] | None]:
    """Show the parts that an analysis reports in the cell that runs it, until it ends.

    Args:
        name: of the analysis.

    Yields:
        The function to report a part to, or ``None`` outside of a notebook.
    """
    ipython = sys.modules.get("IPython")  # a notebook's kernel has imported it
    shell = None if ipython is None else ipython.get_ipython()
    if ipython is None or getattr(shell, "kernel", None) is None:
        yield None
        return
    started, handles = time.perf_counter(), list[Any]()

    def report(part: str) -> None:
        seconds = time.perf_counter() - started
        shown = {"text/plain": f"{name}: {part} ({seconds:.0f} s so far)"}
        if handles:
            handles[0].update(shown, raw=True)
        else:
            handles.append(ipython.display.display(shown, raw=True, display_id=True))

    try:
        yield report
    finally:
        for handle in handles:
            handle.update({"text/plain": ""}, raw=True)
