"""``tailscape compare``: every number of every class of two settings, paired over seeds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from cli.console import closing, console, with_library
from cli.table_layout import fitted_table
from figures.request import Request
from figures.runs.folder import RunResults
from landscape.errors import InputError


@dataclass(frozen=True)
class Compare:
    """Compare two runs, or two settings over seeds, in every number that both have."""

    run_folders: tyro.conf.Positional[
        Annotated[tuple[Path, ...], tyro.conf.arg(metavar="[RUN ...]")]
    ]
    """Runs of two settings, diagnosed alike; those that differ only in their seed are one."""
    checkpoint: str = "last"
    """Checkpoint compared: ``last``, ``best`` or an epoch."""
    show: tuple[str, ...] = ()
    """Numbers to draw, such as accuracy.per_class,spectrum.lambda_max. Default: those with most
    claims."""
    out: Path | None = None
    """Folder to write to. Default: 'figures' beside the first run."""
    embed: bool = False
    """Write the plotting library into the page: one file of 5 MB, which can be sent by itself."""

    def run(self) -> None:
        """Execute the command."""
        if len(self.run_folders) < 2:
            raise InputError("give runs of two settings: tailscape compare A-0 A-1 B-0 B-1")
        from figures.catalogue import read_both
        from figures.pages.about import facts
        from figures.pages.write import write

        runs = tuple(RunResults.open(path) for path in self.run_folders)
        options = {"show": ":".join(self.show)} if self.show else {}
        request = Request(runs, self.checkpoint, options=options)
        drawing, on_page = read_both("compare", request)
        out = console()
        claimed = drawing.numbers()
        assert claimed is not None
        rows, header = [row[:-1] for row in claimed.rows], claimed.header[:-1]
        table = fitted_table(claimed.caption, header, rows, width=out.width, left=header[:2])
        out.print(table if rows else claimed.caption)
        folder = self.out or self.run_folders[0].parent / "figures"
        wrote = write(
            drawing, "compare", folder, facts("compare", request), on_page, embed=self.embed
        )
        closing(out, with_library(wrote, embed=self.embed), [f"open {wrote[-1]} in a browser"])
