"""Arguments on the command line: options from a file, and comma-separated lists."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, cast, get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from landscape.errors import InputError, unknown

_ITEMS = (int, str, float)  # of comma-separated words


def with_config_file(arguments: list[str], command: type) -> list[str]:
    """Insert the options of ``--config FILE`` before the flags, which override them.

    Args:
        arguments: of the command.
        command: its dataclass.

    Returns:
        The arguments with the file's options as flags; the same where there is no such file, or
        the command takes none.

    Raises:
        InputError: the file is missing, not TOML, or contains an unknown option.
    """
    if "config" not in {item.name for item in fields(command)}:
        return arguments
    for position, word in enumerate(arguments):
        flag, equals, value = word.partition("=")
        if flag == "--config":
            following = arguments[position + 1 : position + 2]
            path = Path(value if equals else "".join(following)).expanduser()
            content = _content(path)
            return [*_flags(content, _options(command), f"'{path}'"), *arguments]
    return arguments


def option_flags(content: dict[str, Any], kind: type, where: str) -> list[str]:
    """Write the options of a settings class as flags.

    Args:
        content: plain values by their names; those of nested settings in tables.
        kind: the settings class.
        where: they are from, for messages.

    Raises:
        InputError: an option is unknown.
    """
    return _flags(content, dict(_nested(kind, "")), where)


def argument_registry() -> ConstructorRegistry:
    """Build a registry: tuples are comma-separated words, and ``~`` is the home folder in paths."""
    registry = ConstructorRegistry()

    @registry.primitive_rule
    def paths(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Path] | None:
        if info.type is not Path:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="PATH",
            instance_from_str=lambda words: Path(words[0]).expanduser(),
            is_instance=lambda value: isinstance(value, Path),
            str_from_instance=lambda value: [str(value)],
        )

    @registry.primitive_rule
    def integers(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[int] | None:
        if info.type is not int:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="INT",
            instance_from_str=lambda words: _integer(words[0]),
            is_instance=lambda value: isinstance(value, int) and not isinstance(value, bool),
            str_from_instance=lambda value: [str(value)],
        )

    @registry.primitive_rule
    def commas(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        item = _item(info.type)
        if item not in _ITEMS:
            return None

        def parse(words: list[str]) -> tuple[Any, ...]:
            read = _integer if item is int else item
            return tuple(read(part) for part in words[0].split(",") if part)

        return PrimitiveConstructorSpec(
            nargs=1,
            metavar=f"{item.__name__.upper()},…",
            instance_from_str=parse,
            is_instance=lambda value: (
                isinstance(value, tuple) and all(isinstance(v, item) for v in value)
            ),
            str_from_instance=lambda value: [",".join(map(str, value))],
        )

    return registry


def _integer(word: str) -> int:
    """Read a number that fits into 64 bits, as those of arrays and files have to."""
    value = int(word)
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{word} has more than 64 bits")
    return value


@dataclass(frozen=True)
class _Option:
    """Type and default of an option."""

    hint: Any
    default: Any


def _content(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read --config '{path}' ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"--config '{path}' is not TOML in UTF-8 ({error}); correct it, or give flags instead"
        ) from error


def _options(command: type) -> dict[str, _Option]:
    """List the options that a file may give, by their flags."""
    hints = get_type_hints(command)
    flat = [hint for hint in hints.values() if is_dataclass(hint)]
    return {flag: option for kind in flat for flag, option in _nested(cast(type, kind), "")}


def _nested(kind: type, prefix: str) -> Iterator[tuple[str, _Option]]:
    hints, marked = get_type_hints(kind), get_type_hints(kind, include_extras=True)
    for item in fields(kind):
        flag, hint = prefix + item.name.replace("_", "-"), hints[item.name]
        if tyro.conf.Suppress in getattr(marked[item.name], "__metadata__", ()):
            continue
        if is_dataclass(hint):
            yield from _nested(cast(type, hint), f"{flag}.")
        else:
            yield flag, _Option(hint, item.default)


def _flags(
    content: dict[str, Any], known: dict[str, _Option], where: str, table: str = ""
) -> list[str]:
    """Write a file's options as flags; those of a table such as [spectrum] carry its name."""
    flags: list[str] = []
    for name, value in content.items():
        option = table + name.replace("_", "-")
        if isinstance(value, dict):
            flags += _flags(value, known, where, f"{option}.")
        elif option not in known:
            raise unknown(f"option in {where}", table + name, known)
        elif isinstance(value, bool):
            switch = option if value else f"{table}no-{name.replace('_', '-')}"
            flags += [f"--{switch}"] if value != known[option].default else []
        elif isinstance(value, list) and not _is_of_words(known[option].hint):
            flags += [f"--{option}", *map(str, value)]
        else:
            listed = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            flags += [f"--{option}", listed]
    return flags


def _is_of_words(hint: Any) -> bool:
    """Tell whether an option is written as comma-separated words."""
    kinds = [hint, *get_args(hint)]  # a union's parts
    return any(_item(kind) in _ITEMS for kind in kinds)


def _item(hint: Any) -> Any:
    """Type of each of any number of items; ``None`` for what is no such tuple."""
    arguments = get_args(hint)
    is_open = get_origin(hint) is tuple and arguments[1:] == (Ellipsis,)
    return arguments[0] if is_open else None
