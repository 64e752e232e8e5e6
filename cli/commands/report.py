"""``tailscape report``: write one page with every result of some runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from cli.console import closing, console, with_library
from figures.request import Request
from figures.runs.folder import RunResults


@dataclass(frozen=True)
class Report:
    """Collect the figures, numbers and provenance of runs on one page that opens offline."""

    run_folders: tyro.conf.Positional[
        Annotated[tuple[Path, ...], tyro.conf.arg(metavar="[RUN ...]")]
    ]
    """Run folders."""
    checkpoint: str = "last"
    """Checkpoint of figures that show one: ``last``, ``best`` or an epoch."""
    out: Path = Path("report")
    """Folder to write to."""
    embed: bool = False
    """Write the plotting library into the page: one file of 5 MB, which can be sent by itself."""

    def run(self) -> None:
        """Execute the command."""
        from figures.report.page import write_report

        runs = tuple(RunResults.open(path) for path in self.run_folders)
        wrote = write_report(Request(runs, self.checkpoint), self.out, embed=self.embed)
        told = with_library(wrote[:1], embed=self.embed)
        closing(console(), told, [f"open {wrote[0]} in a browser"])
