"""Numbers and tables as docs/saddles.md shows them."""

from decimal import ROUND_DOWN, ROUND_FLOOR, ROUND_UP, Decimal
from pathlib import Path

import numpy as np

from landscape.errors import InputError

PAGE = Path(__file__).with_name("saddles.md")


def markdown(head: tuple[str, ...], rows: list[list[str]]) -> str:
    """Write a table, numbers to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_tables(found: dict[str, str]) -> None:
    """Put tables between their marks on the page."""
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")


def with_tables(text: str, found: dict[str, str]) -> str:
    """Put tables between their marks.

    Args:
        text: of the page.
        found: tables by name.

    Raises:
        InputError: the page has no mark of that name.
    """
    for name, table in found.items():
        begin, end = f"<!-- table: {name} -->\n", f"\n<!-- end: {name} -->"
        if begin not in text or end not in text:
            raise InputError(f"the page has no marks {begin.strip()} and {end.strip()}")
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = before + begin + table + end + after
    return text


def number(value: float) -> str:
    """Three digits."""
    return _minus(f"{value:.3g}")


def towards_zero(value: float) -> str:
    """Three digits that a value below zero stays below."""
    return _rounded(value, ROUND_DOWN)


def downwards(value: float) -> str:
    """Three digits that a value stays above."""
    return _rounded(value, ROUND_FLOOR)


def _rounded(value: float, how: str) -> str:
    exact = Decimal(repr(float(value)))
    if not exact.is_finite():
        return "–"
    return _minus(f"{exact.quantize(Decimal(1).scaleb(exact.adjusted() - 2), how)}")


def interval(value: float, bound: float) -> str:
    """The bound rounded up to two digits, the value to as many places."""
    wide = Decimal(repr(float(bound)))
    if not wide.is_finite() or wide <= 0:
        return f"{number(value)} ± {bound:g}"
    place = Decimal(1).scaleb(wide.adjusted() - 1)
    digits = Decimal(repr(float(value))).quantize(place)
    return f"{_minus(str(digits))} ± {float(wide.quantize(place, ROUND_UP)):g}".replace("e-0", "e-")


def _minus(text: str) -> str:
    return "−" + text[1:] if text.startswith("-") else text


def span(values: np.ndarray) -> str:
    """Least and largest."""
    return f"{number(values.min())} to {number(values.max())}"


def counts(words: np.ndarray) -> str:
    """How often each word occurs."""
    names, times = np.unique(words.astype(str), return_counts=True)
    return ", ".join(f"{n} {name or 'none'}" for n, name in zip(times, names, strict=True))
