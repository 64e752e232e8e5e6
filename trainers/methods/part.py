"""A word of a method's sentence: summary, equation, settings and their sources."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from landscape.errors import InputError, unknown
from landscape.results.plugins import located

Value = float | int | str
_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Interval:
    """Contain the finite numbers between two ends, closed unless an end is left out."""

    least: float
    most: float = math.inf
    without: tuple[Literal["least", "most"], ...] = ()

    def __contains__(self, number: float) -> bool:
        above = self.least < number or ("least" not in self.without and number == self.least)
        below = number < self.most or ("most" not in self.without and number == self.most)
        return above and below and math.isfinite(number)

    def __str__(self) -> str:
        above = f"{'above' if 'least' in self.without else 'at least'} {self.least:g}"
        if math.isinf(self.most):
            return above
        return f"{above}, {'below' if 'most' in self.without else 'at most'} {self.most:g}"


NOT_NEGATIVE = Interval(0)
POSITIVE = Interval(0, without=("least",))
SHARE = Interval(0, 1)
POSITIVE_SHARE = Interval(0, 1, without=("least",))
DECAY = Interval(0, 1, without=("most",))
COUNT = Interval(1)


@dataclass(frozen=True)
class Setting:
    """Describe a setting of a method.

    Args:
        value: unless something else is said or published for the data.
        source: where it comes from.
        allowed: the words to choose from, or where a number may lie.
        only_with: another setting of the part and the value of it without which this one has no
            effect.
        before: what held before there was the setting, where that is another value: that of runs
            stored without it.
    """

    value: Value
    source: str
    allowed: tuple[str, ...] | Interval
    only_with: tuple[str, str] | None = None
    before: Value | None = None

    @property
    def earlier(self) -> Value:
        """Return the value that held before there was the setting."""
        return self.value if self.before is None else self.before

    def read(self, name: str, given: Value) -> Value:
        """Convert a user's value to the setting's type.

        Raises:
            InputError: it is not one of the choices, no number, or out of range.
        """
        if not isinstance(self.allowed, Interval):
            if given not in self.allowed:
                raise unknown(f"value of setting '{name}'", str(given), self.allowed)
            return given
        try:
            number = float(given)
        except ValueError as error:
            raise InputError(
                f"setting '{name}' is '{given}', which is not a number; give one that is "
                f"{self.allowed}"
            ) from error
        if number not in self.allowed:
            raise InputError(
                f"setting '{name}' is {given}, which is out of range: it has to be finite and "
                f"{self.allowed}"
            )
        if not isinstance(self.value, int):
            return number
        if not number.is_integer():
            raise InputError(f"setting '{name}' is a whole number, not {given}")
        return int(number)


def in_stage() -> Setting:
    """Return the setting of the stage in which a word acts."""
    return Setting("first", "stage of training in which it acts", ("first", "second", "both"))


@dataclass(frozen=True)
class Part:
    """Describe one word of a method's sentence.

    ``variants`` maps a variant's name to the settings in which it differs and a line that says how,
    ``elsewhere`` to those of other parts of the sentence, such as ``weighting.mean``, where they
    have them.
    ``by_data`` holds settings published for some data: its keys are the number of classes or
    ``digits``, ``clip`` and ``clip-1000`` for a CLIP model, and for the values of a variant only,
    ``10@released``.
    """

    summary: str
    paper: str
    implementation: str  # module:callable
    settings: Mapping[str, Setting] = field(default_factory=lambda: _NONE)
    equation: str = ""
    head: Literal["linear", "cosine"] = "linear"
    views: Literal[1, 2, 3] = 1  # augmented views of an image that the loss compares
    class_scale: bool = False  # whether the classifier has a scale for each class
    further_epochs: int = 0  # of stages without a length of their own
    recipe: str = ""  # of the CIFAR runs, where a loss has one of its own
    variants: Mapping[str, tuple[Mapping[str, Value], str]] = field(default_factory=lambda: _NONE)
    elsewhere: Mapping[str, Mapping[str, Value]] = field(default_factory=lambda: _NONE)
    by_data: Mapping[str, Mapping[str, Value]] = field(default_factory=lambda: _NONE)

    def resolved(self, variant: str, data: tuple[str, ...] = ()) -> dict[str, Value]:
        """Return the settings of a variant on some data.

        Args:
            variant: its name, or an empty word.
            data: keys of ``by_data`` that hold, the stronger ones last.
        """
        values = {name: setting.value for name, setting in self.settings.items()}
        for key in data:
            values |= self.by_data.get(key, {})
        values |= self.variants.get(variant, ({}, ""))[0]
        for key in data:
            values |= self.by_data.get(f"{key}@{variant}", {})
        return values

    def build(self, **given: Any) -> Any:
        """Import the implementation and call it."""
        return self.load()(**given)

    def load(self) -> Callable[..., Any]:
        """Import the implementation."""
        loaded: Callable[..., Any] = located(self.implementation)
        return loaded
