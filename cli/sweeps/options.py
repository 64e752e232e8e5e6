"""Settings given as a table of TOML, read as the command line reads them."""

import io
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, TypeVar

import tyro

from cli.arguments import argument_registry, option_flags
from landscape.errors import InputError

Settings = TypeVar("Settings")


def read_options(kind: type[Settings], options: Mapping[str, Any], where: str) -> Settings:
    """Build settings from options.

    Args:
        kind: the settings class.
        options: plain values of TOML by the options' names; nested settings in tables.
        where: file and table, for messages.

    Raises:
        InputError: an unknown option, or a value that it cannot have.
    """
    for name, value, _ in _leaves(options):
        if "\0" in str(value):
            raise InputError(f"{where}: {name} holds a null character, which no name or number has")
    found = _parse(kind, options, where)
    if found is not None:
        return found
    for name, value, alone in _leaves(options):
        if _parse(kind, alone, where) is None:
            raise InputError(
                f"{where}: {name} = {value!r} is no value of this option; see --help for those it "
                "takes"
            )
    raise InputError(f"{where} gives options that exclude each other: {', '.join(options)}")


def flattened(options: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten nested tables: ``{"spectrum": {"steps": 40}}`` is ``{"spectrum.steps": 40}``."""
    return {name: value for name, value, _ in _leaves(options)}


def _leaves(options: Mapping[str, Any]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield each value with its dotted name, and alone in its tables."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{n}", v, {name: one}) for n, v, one in _leaves(value))
        else:
            yield name, value, {name: value}


def _parse(kind: type[Settings], options: Mapping[str, Any], where: str) -> Settings | None:
    silent, flags = io.StringIO(), option_flags(dict(options), kind, where)
    try:
        with argument_registry(), redirect_stderr(silent), redirect_stdout(silent):
            return tyro.cli(kind, args=flags)
    except SystemExit:
        return None
