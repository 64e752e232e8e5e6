"""The table of figures; drawing libraries are imported when one is drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from figures.runs import Request


class FigureModule(Protocol):
    """What a figure's file offers."""

    write: "Callable[[Request, Path], list[Path]]"


@dataclass(frozen=True)
class Kind:
    """A kind of figure."""

    summary: str
    module: str


FIGURES = {
    "spectrum": Kind(
        "eigenvalue density of the Hessian; rows are runs, columns scopes", "figures.spectrum"
    ),
    "nonconvexity": Kind(
        "|λmin/λmax| of each class against epoch, with error bars", "figures.nonconvexity"
    ),
    "protocol": Kind(
        "λmin and density by the released Saddle-LongTail analysis against the exact ones",
        "figures.protocol",
    ),
    "accuracy": Kind(
        "test accuracy of each class and group; also as Markdown, LaTeX and CSV",
        "figures.accuracy",
    ),
}


def load_figure(kind: str) -> FigureModule:
    """Import a figure's file."""
    return cast(FigureModule, import_module(FIGURES[kind].module))
