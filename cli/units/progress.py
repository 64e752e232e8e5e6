"""Progress of a diagnosis over scopes and checkpoints, each by what it takes."""

import re
from collections.abc import Mapping

from rich.progress import Progress, TaskID

from cli.units.cost import Parts
from cli.units.unit import Unit

_SHARE = re.compile(r"(\d+) of (\d+) points")


class UnitProgress:
    """Move a bar as the parts of units are done.

    Args:
        bar: the bar.
        parts: of each unit, in the order of work.
    """

    def __init__(self, bar: Progress, parts: Mapping[Unit, Parts]) -> None:
        self._bar, self._parts = bar, parts
        self._total = sum(len(of) for of in parts.values())
        self._finished, self._started, self._done = 0.0, 0, 0.0
        self._running = 0.0
        size = sum(map(_size, parts.values()))
        self._task: TaskID = bar.add_task("diagnose", total=size or None)

    def started(self, unit: Unit, part: str) -> None:
        """Show the part that a unit has started; what it reported before is done."""
        self._done += self._running
        parts, share = self._parts[unit], _SHARE.match(part)
        self._running = parts[part].size if part in parts else 0.0
        self._started += part in parts
        if share is not None:
            self._done = _size(parts) * int(share[1]) / int(share[2])
        name = f"{unit.checkpoint} {unit.analysis} {part}"
        counted = f" ({self._started} of {self._total})" if part in parts else ""
        self._bar.update(
            self._task, description=name + counted, completed=self._finished + self._done
        )

    def finished(self, unit: Unit) -> None:
        """Count a whole unit as done, whether or not it succeeded."""
        self._finished += _size(self._parts[unit])
        self._done = self._running = 0.0
        self._bar.update(self._task, completed=self._finished)


def _size(parts: Parts) -> float:
    return sum(part.size for part in parts.values())
