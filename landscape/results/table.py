"""Write records as one small table, in text and in HTML: a row a scope, class or measure.

A number with an error stands before its ±. No tensor library is imported here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from landscape.results.fields import Array

Columns = Mapping[str, Sequence[str]]
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
            f"<table><caption>{escape(self.caption)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


def words(values: Array) -> list[str]:
    """Write values as they are."""
    return [str(value) for value in values]


def numbers(values: Array, errors: Array | None = None) -> list[str]:
    """Write numbers with four digits, and with their errors if there are any."""
    found = [f"{value:.4g}" if np.isfinite(value) else str(value) for value in values]
    if errors is None:
        return found
    return [f"{v} ± {error:.2g}" for v, error in zip(found, errors, strict=True)]


def _html_row(row: tuple[str, ...]) -> str:
    first, *others = map(escape, row)
    return f"<th {_RIGHT}>{first}</th>" + "".join(f"<td {_RIGHT}>{cell}</td>" for cell in others)
