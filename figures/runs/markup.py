"""Escape names of classes and runs for pages, whose library reads texts as HTML and templates.

And for tables in LaTeX and Markdown.
"""

import html
from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

# a notebook sets what stands between dollars as a formula; a template names its fields after %
_TEX = {sign: f"\\{sign}" for sign in "#$%&_{}"}
_TEX |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_TEX |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
_FURTHER = (("$", "&#36;"), ("%{", "&#37;{"))


def page_text(text: str) -> str:
    """Escape a text that a page shows as it is."""
    found = html.escape(text, quote=False)
    for sign, entity in _FURTHER:
        found = found.replace(sign, entity)
    return found


def tex_text(text: str) -> str:
    """Escape a text for LaTeX, where ten signs of ASCII mean something and three print others."""
    return "".join(_TEX.get(sign, sign) for sign in text)


def markdown_text(text: str) -> str:
    """Escape a text for a cell of a Markdown table."""
    return text.replace("\\", "\\\\").replace("|", "\\|")


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Collection[str] = ()
) -> str:
    """Format a Markdown table.

    Args:
        header: names of the columns.
        rows: cells, as many each.
        numbers: columns that stand to the right.
    """
    ruled = ["---:" if name in numbers else "---" for name in header]
    escaped = [[markdown_text(cell) for cell in row] for row in (header, *rows)]
    lines = [escaped[0], ruled, *escaped[1:]]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def page_texts(value: Any) -> Any:
    """Escape every text of a record, a provenance or a configuration; see :func:`page_text`."""
    if isinstance(value, str):
        return page_text(value)
    if isinstance(value, dict):
        return {key: page_texts(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(page_texts(item) for item in value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        found = [page_text(str(item)) for item in value.ravel()]
        return np.array(found, dtype=str).reshape(value.shape)
    if is_dataclass(value) and not isinstance(value, type):
        own = [f.name for f in fields(value) if f.init]
        return replace(value, **{name: page_texts(getattr(value, name)) for name in own})
    return value
