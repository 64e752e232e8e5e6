"""Shorten long names of classes where there is little room."""

import re
from collections.abc import Sequence

LONGEST = 24  # characters of a tick
_SIGN = re.compile(r"&(?:[a-z]+|#\d+);|.", re.DOTALL)  # a page's entity is one character


def short(name: str, most: int = LONGEST) -> str:
    """Shorten a name in its middle, so that equal beginnings stay apart.

    Args:
        name: of a class, escaped or not.
        most: characters.
    """
    signs = _SIGN.findall(name)
    if len(signs) <= most:
        return name
    left = most // 2
    return f"{''.join(signs[:left]).rstrip()}…{''.join(signs[left + 1 - most :]).lstrip()}"


def short_names(names: Sequence[str], most: int = LONGEST) -> list[str]:
    """Shorten names; those that would be alike are numbered.

    Args:
        names: all of a figure's axis or legend.
        most: characters.
    """
    found = [short(name, most) for name in names]
    alike = {
        text
        for text in found
        if len({n for n, t in zip(names, found, strict=True) if t == text}) > 1
    }
    return [
        f"{short(text, most - 3)} {found[: k + 1].count(text)}" if text in alike else text
        for k, text in enumerate(found)
    ]


def inches(names: Sequence[str]) -> float:
    """Estimate the room of upright tick labels; short ones lie."""
    longest = max((len(name) for name in names), default=0)
    return 0.05 * longest if longest > 2 else 0.0
