"""Write records as one small table, in text and in HTML: a row a scope, class or measure.

A number with an error stands before its ±. A negative number has a hyphen in text, which can be
copied into a program, and a minus on pages and figures. No tensor library is imported here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from html import escape
from math import isfinite

import numpy as np

from landscape.results.fields import Array

Columns = Mapping[str, Sequence[str]]
_HYPHEN = re.compile(r"(?<![\w)-])-(?=\.?\d|∞)|(?<=\de)-(?=\d)")
_RIGHT = 'style="text-align: right"'


@dataclass(frozen=True)
class Table:
    """Cells as text, a row each."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str

    def text(self) -> str:
        """Align the columns with spaces, the first to the left."""
        lines = [self.header, *self.rows]
        widths = [max(len(line[c]) for line in lines) for c in range(len(self.header))]
        found = [self.caption]
        for first, *others in lines:
            cells = [cell.rjust(w) for cell, w in zip(others, widths[1:], strict=True)]
            found.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
        return "\n".join(found)

    def html(self) -> str:
        """Write a table element; every text is escaped."""
        head = "".join(f"<th {_RIGHT}>{escape(name)}</th>" for name in self.header)
        body = "".join(f"<tr>{_html_row(row)}</tr>" for row in self.rows)
        return (
            f"<table><caption>{escape(typeset(self.caption))}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


def counted(number: Array | int, noun: str) -> str:
    """Write a number and its noun: 1 draw, 2 draws, 3 batches."""
    plural = f"{noun}es" if noun.endswith(("ch", "s", "x")) else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def typeset(text: str) -> str:
    """Write the signs of the numbers in a text for a page or a figure.

    >>> typeset("ce-0: -2.1 … -1e-05")
    'ce-0: −2.1 … −1e−05'
    """
    return _HYPHEN.sub("−", text)


def percent(share: float, digits: int = 1) -> str:
    """Write a share in per cent; a dash where it is not known.

    >>> percent(0.125, 0), percent(float("nan"))
    ('12 %', '–')
    """
    return f"{100 * share:.{digits}f} %" if isfinite(share) else "–"


def words(values: Array) -> list[str]:
    """Write values as they are."""
    return [str(value) for value in values]


def numbers(values: Array, errors: Array | None = None) -> list[str]:
    """Write numbers with four digits, or with their errors and as many digits as these allow."""
    if errors is None:
        return [f"{value:.4g}" if np.isfinite(value) else str(value) for value in values]
    return [with_error(*pair) for pair in zip(values, errors, strict=True)]


def with_error(value: float, error: float) -> str:
    """Write a value and its error to the same place, the error's second digit.

    An error that six digits of the value do not show is left out, and so is one of zero.
    """
    if not isfinite(value) or not isfinite(error):
        return f"{value:.4g}"
    if error < 5e-6 * abs(value) or error == 0:
        return f"{value:.6g}"
    largest, place = (Decimal(float(size)).adjusted() for size in (max(abs(value), error), error))
    if -5 < largest < 6:
        digits = max(1 - place, 0)
        return f"{value:.{digits}f} ± {error:.{digits}f}"
    scale, digits = 10.0**largest, max(largest - place + 1, 0)
    return f"({value / scale:.{digits}f} ± {error / scale:.{digits}f})e{largest:+03d}"


def bracket(low: float, high: float, digits: int = 3) -> str:
    """Write an interval, its ends rounded outwards; an end that is not known is left out."""
    least, most = _rounded(low, digits, ROUND_FLOOR), _rounded(high, digits, ROUND_CEILING)
    if not isfinite(low):
        return f"≤ {most}" if isfinite(high) else "unknown"
    return f"{least} … {most}" if isfinite(high) else f"≥ {least}"


def _rounded(value: float, digits: int, direction: str) -> str:
    if not isfinite(value) or value == 0:
        return f"{value:g}"
    exact = Decimal(repr(float(value)))
    place = Decimal(1).scaleb(exact.adjusted() - digits + 1)
    return f"{float(exact.quantize(place, rounding=direction)):#.{digits}g}".rstrip(".")


def _html_row(row: tuple[str, ...]) -> str:
    first, *others = map(escape, row)
    return f"<th {_RIGHT}>{first}</th>" + "".join(
        f"<td {_RIGHT}>{typeset(cell)}</td>" for cell in others
    )
