"""Entries that other packages add to the tables of this one, by entry points.

A package declares ``[project.entry-points."tailscape.rules"]`` with a line ``mine = "module:RULE"``
and the word is known wherever the table's own are. What cannot be used is left out, and said in a
sentence. No tensor library is imported here.
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, TypeVar

Group = Literal["losses", "weightings", "samplers", "rules", "stages", "analyses", "figures"]
Item = TypeVar("Item")
_IN_BASE = ("losses", "weightings", "samplers", "stages")  # dashes part their words


class PluginWarning(UserWarning):
    """Another package's entry cannot be used, and is left out."""


@dataclass(frozen=True)
class Plugin:
    """An entry that is used."""

    group: str
    name: str
    package: str


PLUGINS: list[Plugin] = []


class Table(dict[str, Item]):
    """A table of this package that others add to; theirs are read when it is first used.

    An entry's own package may import the table, so nothing is read while that is imported.

    Args:
        group: of the entry points, after ``tailscape.``.
        kind: of the entries, a dataclass with a ``summary``, which is given the package's name.
        own: the entries of this package.
    """

    def __init__(self, group: Group, kind: type[Item], own: Mapping[str, Item]) -> None:
        super().__init__(own)
        self._group, self._kind, self._filled = group, kind, False

    def _fill(self) -> None:
        if self._filled:
            return
        self._filled = True
        found = entry_points(group=f"tailscape.{self._group}")
        for entry in sorted(found, key=lambda entry: entry.name):
            self._add(entry)

    def _add(self, entry: EntryPoint) -> None:
        package = entry.dist.name if entry.dist is not None else entry.module
        described, problem = _described(entry, self._kind)
        problem = problem or _unusable(self._group, entry.name, described, self)
        if problem:
            said = f"'{entry.value}' of package '{package}' ({entry.group}: {entry.name})"
            left_out = f"{said} is left out: {problem}; mend the package, or uninstall it"
            warnings.warn(left_out, PluginWarning, stacklevel=2)
            return
        summary = f"{described.summary} (package {package})"
        super().__setitem__(entry.name, replace(described, summary=summary))
        PLUGINS.append(Plugin(self._group, entry.name, package))

    def __getitem__(self, name: str) -> Item:
        self._fill()
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._fill()
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        self._fill()
        return super().__iter__()

    def __len__(self) -> int:
        self._fill()
        return super().__len__()

    def get(self, name: str, default: Any = None) -> Any:
        """Look a name up."""
        self._fill()
        return super().get(name, default)

    def keys(self) -> Any:
        """List the names."""
        self._fill()
        return super().keys()

    def values(self) -> Any:
        """List the entries."""
        self._fill()
        return super().values()

    def items(self) -> Any:
        """List both."""
        self._fill()
        return super().items()


def _described(entry: EntryPoint, kind: type) -> tuple[Any, str]:
    """Import an entry; or say what is wrong with it."""
    try:
        found = entry.load()
    except Exception as error:  # anything may go wrong in another's package
        first = str(error).strip().partition("\n")[0]
        return None, f"importing it raised {type(error).__name__}: {first}"
    if not isinstance(found, kind):
        return None, f"it is a {type(found).__name__}, and has to be a {kind.__name__}"
    return found, ""


def _unusable(group: str, name: str, described: Any, found: Mapping[str, Any]) -> str:
    allowed = "[a-z][a-z0-9]*" if group in _IN_BASE else "[a-z][a-z0-9-]*"
    if not re.fullmatch(allowed, name):
        return f"its name must be of the form {allowed}"
    if name in found:
        return "there is one of this name already"
    if getattr(described, "name", name) != name:
        return f"it calls itself '{described.name}'"
    return ""
