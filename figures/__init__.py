"""Draw pictures of results, one file a figure.

import figures

figures.draw("spectrum", spectrum)  # for paper, by matplotlib
figures.page("spectrum", spectrum)  # for the screen, by plotly
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from figures.api import draw, page

__all__ = ["draw", "page"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'figures' has no attribute '{name}'")
    from figures import api

    found = getattr(api, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
