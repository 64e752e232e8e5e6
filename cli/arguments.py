"""Arguments on the command line: options from a file, and comma-separated lists."""

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_origin

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from landscape.errors import InputError, unknown
from trainers.config import TrainConfig


def with_config_file(arguments: list[str]) -> list[str]:
    """Insert the options of ``train --config FILE`` before the flags, which override them.

    Args:
        arguments: the command line.

    Returns:
        The command line with the file's options as flags.

    Raises:
        InputError: the file is missing, not TOML, or contains an unknown option.
    """
    if arguments[:1] != ["train"]:
        return arguments
    for position, word in enumerate(arguments):
        flag, equals, value = word.partition("=")
        if flag == "--config":
            following = arguments[position + 1 : position + 2]
            path = value if equals else (following[0] if following else "")
            return ["train", *_flags(Path(path)), *arguments[1:]]
    return arguments


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
    def commas(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        arguments = get_args(info.type)
        if get_origin(info.type) is not tuple or arguments[1:] != (Ellipsis,):
            return None
        item = arguments[0]
        if item not in (int, str, float):
            return None

        def parse(words: list[str]) -> tuple[Any, ...]:
            return tuple(item(part) for part in words[0].split(",") if part)

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


def _flags(path: Path) -> list[str]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read --config '{path}' ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"--config '{path}' is not TOML in UTF-8 ({error}); correct it, or give flags instead"
        ) from error
    known = {f.name.replace("_", "-") for f in fields(TrainConfig)}
    flags: list[str] = []
    for name, value in content.items():
        option = name.replace("_", "-")
        if option not in known:
            raise unknown(f"option in '{path}'", name, known)
        if isinstance(value, bool):
            flags += [f"--{option}"] if value else []
        else:
            listed = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            flags += [f"--{option}", listed]
    return flags
