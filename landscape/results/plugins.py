"""Entries that other packages add to the tables of this one, by entry points.

A package declares ``[project.entry-points."tailscape.rules"]`` with a line ``mine = "module:RULE"``
and the word is known wherever the table's own are. What cannot be used is left out, and said in a
sentence. No tensor library is imported here.
"""

import re
import types
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from landscape.errors import InputError

Group = Literal["losses", "weightings", "samplers", "rules", "stages", "analyses", "figures"]
Item = TypeVar("Item")
_PLAIN = (str, int, float, bool, Path)  # types of settings
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
    settings = getattr(described, "settings", None)
    return settings_problem(settings) if group == "analyses" and settings is not None else ""


def settings_problem(kind: Any) -> str:
    """Say why a class cannot be the settings of an analysis; nothing of one that can.

    The command line writes, and files hold, frozen dataclasses of plain values with defaults.
    """
    if not (isinstance(kind, type) and is_dataclass(kind) and kind.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        return "its settings are no frozen dataclass"
    try:
        kind()
        hints = get_type_hints(kind)
    except Exception as error:  # anything may go wrong in another's package
        return f"its settings cannot be built without values ({type(error).__name__}: {error})"
    odd = [item.name for item in fields(kind) if not _is_plain(hints[item.name])]
    return f"its setting '{odd[0]}' is no text, number, switch or path, nor several" if odd else ""


def _is_plain(hint: Any) -> bool:
    if get_origin(hint) in (Union, types.UnionType):
        rest = [part for part in get_args(hint) if part is not type(None)]
        return len(rest) == 1 and _is_plain(rest[0])
    if get_origin(hint) is tuple:
        kinds = {part for part in get_args(hint) if part is not Ellipsis}
        return len(kinds) == 1 and kinds <= set(_PLAIN)
    return hint in _PLAIN or get_origin(hint) is Literal


def located(place: str) -> Any:
    """Import ``MODULE:NAME``, which an entry of a table names.

    Raises:
        InputError: it cannot be imported.
    """
    module, _, name = place.partition(":")
    try:
        found = import_module(module)
        return getattr(found, name) if name else found
    except InputError:
        raise
    except Exception as error:  # anything may go wrong in another's package
        first = str(error).strip().partition("\n")[0]
        raise InputError(
            f"'{place}' cannot be imported ({type(error).__name__}: {first}); mend the package "
            "that declares it, or uninstall it"
        ) from error
