"""Lay out a table for a terminal: names give way before numbers do.

Names are shortened in their middle; where that is not enough headings are wrapped, then the spaces
in brackets and errors go, and last cells are wrapped. A number is never cut.
"""

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import JustifyMethod
from rich.table import Table

from figures.charts.names import short_names

_GAP = 2  # between columns
_COUNTS = ("train", "used")  # columns that give way
_TIGHTER = ((" … ", "…"), (" ± ", "±"))


def fitted_table(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    caption: str = "",
    *,
    width: int,
    left: Sequence[str] = (),
) -> Table:
    """Build a table that fits a terminal as far as it can.

    Args:
        title: above it.
        header: of the columns; the first has the rows' names.
        rows: their cells.
        caption: below it; empty for none.
        width: of the terminal, in characters.
        left: further columns that are words, at the left of their place.
    """
    spaced = [[str(row[k]) for row in rows] for k in range(len(header))]
    tight = [spaced[0], *([_tight(cell) for cell in column] for column in spaced[1:])]
    whole = list(map(cell_len, header))
    wrapped = [_longest(name.split()) for name in header]
    for columns, heads, least in ((spaced, whole, 16), (spaced, wrapped, 16), (tight, wrapped, 10)):
        widths = [max(n, _longest(cells)) for n, cells in zip(heads, columns, strict=True)]
        room = width - sum(widths[1:]) - _GAP * len(widths)
        if room >= min(_longest(spaced[0]), least):
            names = short_names(spaced[0], max(room, cell_len(header[0])))
            widths[0] = max(_longest(names), cell_len(header[0]))
            return _table(title, header, [names, *columns[1:]], caption, widths, left, width)
    kept = [k for k, name in enumerate(header) if name not in _COUNTS]
    if len(kept) < len(header):
        fewer = [[row[k] for k in kept] for row in rows]
        return fitted_table(
            title, [header[k] for k in kept], fewer, caption, width=width, left=left
        )
    names = short_names(spaced[0], 12)
    first = [max(_longest(names), cell_len(header[0]))]  # other cells are wrapped, too
    return _table(title, header, [names, *spaced[1:]], caption, first, left, width)


def _table(
    title: str,
    header: Sequence[str],
    columns: Sequence[Sequence[str]],
    caption: str,
    widths: Sequence[int],
    left: Sequence[str],
    most: int,
) -> Table:
    sides: dict[str, Any] = {"title_justify": "left", "caption_justify": "left"}
    table = Table(title=title, caption=caption or None, box=None, **sides)
    for k, name in enumerate(header):
        width = widths[k] if k < len(widths) else None
        side: JustifyMethod = "left" if k == 0 or name in left else "right"
        table.add_column(name, justify=side, width=width)
    said = min(max(cell_len(title), cell_len(caption)), most - _GAP)
    spare = said - sum(widths) - _GAP * len(header)
    if spare > 0 and len(widths) == len(header):  # title and caption are as wide as the table
        table.add_column("", width=spare)
    for cells in zip(*columns, strict=True):
        table.add_row(*cells)
    return table


def _tight(cell: str) -> str:
    for spaced, tight in _TIGHTER:
        cell = cell.replace(spaced, tight)
    return cell


def _longest(cells: Sequence[str]) -> int:
    return max(map(cell_len, cells), default=0)
