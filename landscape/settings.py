"""Keywords into configurations. No tensor library is imported here."""

import types
from collections.abc import Collection, Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from landscape.errors import InputError, unknown

Config = TypeVar("Config")
_NUMBERS: dict[type, type] = {int: Integral, float: Real}


def names_of(kind: type, but: Collection[str] = ()) -> list[str]:
    """List the fields of a configuration dataclass, but for some."""
    return [item.name for item in fields(kind) if item.name not in but]


def from_keywords(kind: type[Config], given: Mapping[str, Any]) -> Config:
    """Build a configuration from keywords.

    Args:
        kind: a configuration dataclass.
        given: values by the names of its fields; where a field is a tuple, any sequence will do,
            and a string stands for a tuple of itself.

    Raises:
        InputError: a name is not a field's, or a value is of another type or not among a field's
            choices.
    """
    hints = get_type_hints(kind)
    for name in given:
        if name not in hints:
            raise unknown("keyword", name, hints)
    return kind(**{name: _fitted(name, value, hints[name]) for name, value in given.items()})


def _fitted(name: str, value: Any, wanted: Any) -> Any:
    if get_origin(wanted) in (Union, types.UnionType):
        if value is None:
            return None
        (wanted,) = (part for part in get_args(wanted) if part is not type(None))
    if get_origin(wanted) is Literal:
        if value not in get_args(wanted):
            raise unknown(name, str(value), map(str, get_args(wanted)))
        return value
    if get_origin(wanted) is tuple:
        return _fitted_tuple(name, value, get_args(wanted))
    if not isinstance(value, _NUMBERS.get(wanted, wanted)):
        raise InputError(
            f"{name} is {value!r}, of type {type(value).__name__}; it must be of type "
            f"{wanted.__name__}"
        )
    return wanted(value) if wanted in _NUMBERS else value


def _fitted_tuple(name: str, value: Any, ends: tuple[Any, ...]) -> tuple[Any, ...]:
    """Check each of several values; a text stands for one, not for its letters."""
    try:
        values = (value,) if isinstance(value, str) else tuple(value)
    except TypeError:
        raise InputError(f"{name} is {value!r}; it must be a sequence") from None
    if Ellipsis not in ends and len(values) != len(ends):
        raise InputError(f"{name} is {value!r}; it must be {len(ends)} values")
    return tuple(_fitted(name, one, ends[0]) for one in values)
