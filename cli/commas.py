"""Comma-separated lists on the command line: ``--checkpoints 10,50,160``."""

from typing import Any, get_args, get_origin

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo


def comma_registry() -> ConstructorRegistry:
    """Build a registry that reads tuples of int, float and str from one comma-separated word."""
    registry = ConstructorRegistry()

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
