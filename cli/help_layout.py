"""Lay out the parser's help: paragraphs flow to the terminal's width, and a default is said once.

The parser keeps the line breaks that a text has in its source, and adds the value of a default also
where the text names it, or where there is none.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BOX = re.compile(r"^╭─ (.+?) ─+╮$.*?^╰─+╯\n", re.MULTILINE | re.DOTALL)
_NO_VALUE = re.compile(r"\s*\(default: (?:None|False|''|\"\"|)\)")
_VALUE = re.compile(r"\s*\(default: [^()]*\)$")
_NONE = re.compile(r"\{None\}\||\|\{None\}|None,|,None")  # among the values of an option
_CODE = re.compile(r"``(.+?)``")
_CHOICES = re.compile(r"\{[^}]*\}")
_QUOTED = 8  # spaces before a help text in an error
_FARTHEST = 26  # column where texts begin, at most


@dataclass(frozen=True)
class Entry:
    """An option or a command, and what it does."""

    name: str
    text: str


def laid_out(text: str) -> str:
    """Lay out a whole help.

    Args:
        text: as the parser printed it, without colours.
    """
    width = max((len(found[0].partition("\n")[0]) for found in BOX.finditer(text)), default=80)
    parts, end = [], 0
    for found in BOX.finditer(text):
        parts += [_around(text[end : found.start()], width), _box(found[0], width)]
        end = found.end()
    return "".join([*parts, _around(text[end:], width)])


def error_laid_out(text: str) -> str:
    """Lay out the parser's error, which quotes help texts.

    Args:
        text: as the parser printed it, without colours.
    """
    return BOX.sub(lambda found: _quoting_box(found[0]), text)


def _quoting_box(text: str) -> str:
    first, *inner, last = text.splitlines()
    rows: list[str] = []
    told: list[str] = []
    indent = " " * _QUOTED
    for row in [*(line[2:-2].rstrip() for line in inner), ""]:
        if row.startswith(indent) and row[_QUOTED : _QUOTED + 1] != " ":
            told.append(row.strip())
            continue
        if told:
            width = len(first) - 4 - _QUOTED
            lines = textwrap.wrap(_once(" ".join(told)), width, break_on_hyphens=False)
            rows += [f"{indent}{line}" for line in lines]
            told = []
        rows.append(_without_none(row))
    return "\n".join([first, *(f"│ {row:<{len(first) - 4}} │" for row in rows[:-1]), last, ""])


def _around(text: str, width: int) -> str:
    """Wrap what stands between the boxes."""
    paragraphs = re.split(r"(\n\s*\n)", _without_none(text))
    return "".join(_filled(part, width) if part.strip() else part for part in paragraphs)


def _filled(part: str, width: int) -> str:
    ends = "\n" if part.endswith("\n") else ""
    indent = "  " if part.startswith("usage:") else ""
    if max(map(len, part.split())) > width:
        part = _CHOICES.sub("COMMAND", part)  # which are listed below
    text = " ".join(part.split())
    if indent:  # a flag and its value stay together
        text = re.sub(r"\[[^][]*\]", lambda found: found[0].replace(" ", "\0"), text)
    style: dict[str, Any] = {"subsequent_indent": indent, "break_on_hyphens": False}
    return textwrap.fill(text, width, **style).replace("\0", " ") + ends


def _box(text: str, width: int) -> str:
    """Lay out a box, as wide as it was."""
    first, *inner, last = text.splitlines()
    rows = [line[2:-2].rstrip() for line in inner]
    rules = [k for k, row in enumerate(rows) if row and not row.strip("─")]
    said, rows = (rows[: rules[0]], rows[rules[0] + 1 :]) if rules else ([], rows)
    if any(row.startswith("  • ") for row in rows):  # commands, which say no defaults
        return text
    lines = [first]
    if said:
        about = textwrap.wrap(" ".join(" ".join(said).split()), width - 4)
        lines += [f"│ {row:<{width - 4}} │" for row in [*about, "─" * (width - 4)]]
    lines += [f"│ {row:<{width - 4}} │" for row in _listed(list(_entries(rows)), width - 4)]
    return "\n".join([*lines, last, ""])


def _entries(rows: list[str]) -> Iterator[Entry]:
    """Read the entries of a box; a text's further lines are indented."""
    name, told = "", list[str]()
    for row in [*rows, "end"]:
        if row.startswith(" ") or not row:
            told.append(row.strip())
            continue
        if name:
            yield Entry(_without_none(name), _once(" ".join(filter(None, told))))
        name, *told = re.split(r"\s{2,}", row, maxsplit=1)


def _listed(entries: list[Entry], width: int) -> Iterator[str]:
    """Write entries in two columns; a name that is too long has a line of its own."""
    lengths = [len(entry.name) for entry in entries]
    column = max((n for n in lengths if n <= _FARTHEST - 2), default=_FARTHEST - 2) + 2
    for entry in entries:
        lines = textwrap.wrap(entry.text, width - column, break_on_hyphens=False) or [""]
        if len(entry.name) > column - 2:
            yield from textwrap.wrap(entry.name, width, break_on_hyphens=False)
        else:
            yield f"{entry.name:<{column}}{lines.pop(0)}".rstrip()
        yield from (f"{'':<{column}}{line}" for line in lines)


def _once(text: str) -> str:
    """Say a default once, and none where there is no value."""
    text = _CODE.sub(r"'\1'", text)
    return (_VALUE if "Default: " in text else _NO_VALUE).sub("", text).strip()


def _without_none(text: str) -> str:
    """Leave out of the values of an option that it may be left out."""
    return _NONE.sub("", text)
