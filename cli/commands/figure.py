"""``tailscape figure``: draw result files as PDF, PNG and an interactive page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from cli.console import closing, console, with_library
from figures.catalogue import FIGURES
from figures.request import Request
from figures.runs.folder import RunResults
from landscape.errors import InputError, unknown


@dataclass(frozen=True)
class Figure:
    """Draw a figure of one or more runs from their result files."""

    kind: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="FIGURE")]]
    """Figure, or paper:NAME for a figure of a paper; see ``tailscape list figures``."""
    run_folders: tyro.conf.Positional[
        Annotated[tuple[Path, ...], tyro.conf.arg(metavar="[RUN ...]")]
    ]
    """Run folders, drawn side by side."""
    checkpoint: str = "last"
    """Checkpoint of figures that show one: ``last``, ``best`` or an epoch."""
    scopes: tuple[str, ...] = ()
    """Scopes to show, such as overall,class/0,class/9. Default: the figure's own choice."""
    options: tuple[str, ...] = ()
    """Options of the figure, such as view=3d; for a paper's figure also partial=yes, which draws
    the runs that exist, and data=given, which accepts other data than the paper's."""
    animate: bool = False
    """Play the figure over all checkpoints, as GIF, and as MP4 where ffmpeg is installed."""
    out: Path | None = None
    """Folder to write to. Default: RUN/figures, or 'figures' beside the first of several runs."""
    embed: bool = False
    """Write the plotting library into the page: one file of 5 MB, which can be sent by itself."""

    def run(self) -> None:
        """Execute the command."""
        kind, _, paper = self.kind.partition(":")
        if kind != "paper" and self.kind not in FIGURES:
            raise unknown("figure", self.kind, [*FIGURES, "paper:NAME"])
        if kind == "paper" and self.animate:
            raise InputError("--animate plays a kind of figure, not a paper's")
        if kind == "paper":
            from figures.papers.draw import draw_paper

            runs = [RunResults(path) for path in self.run_folders]
            wrote = draw_paper(paper, self._request(runs), self._folder(), embed=self.embed)
        else:
            if not self.run_folders:
                raise InputError(f"give the runs to draw: tailscape figure {self.kind} RUN [RUN…]")
            runs = [RunResults.open(path) for path in self.run_folders]
            wrote = self._written(runs)
        shown = "" if self.animate else " in a browser"
        told = with_library(wrote, embed=self.embed)
        closing(console(), told, [f"open {wrote[-1]}{shown}"])

    def _written(self, runs: list[RunResults]) -> list[Path]:
        if self.animate:
            from figures.pages.animation import animate

            return animate(self.kind, self._request(runs), self._folder())
        from figures.pages.write import write_figure

        return write_figure(self.kind, self._request(runs), self._folder(), embed=self.embed)

    def _folder(self) -> Path:
        if self.out is not None or not self.run_folders:
            return self.out or Path("figures")
        from figures.pages.about import default_folder

        return default_folder(self.run_folders)

    def _request(self, runs: list[RunResults]) -> Request:
        for pair in self.options:
            if "=" not in pair:
                raise InputError(f"--options '{pair}' is not of the form name=value")
        options = dict(pair.split("=", 1) for pair in self.options)
        return Request(tuple(runs), self.checkpoint, self.scopes, options)
