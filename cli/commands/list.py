"""``tailscape list``: list methods, recipes, data, models, analyses, figures, and runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console
from rich.table import Table

from cli.console import closing, console
from figures.catalogue import FIGURES
from figures.papers.catalogue import PAPER_FIGURES
from landscape.analyses.catalogue import ANALYSES
from landscape.errors import InputError, unknown
from trainers.data.catalogue import SOURCES
from trainers.methods.grammar import KINDS
from trainers.methods.systems import SYSTEMS
from trainers.models.catalogue import MODELS
from trainers.recipes import RECIPES, Preset


@dataclass(frozen=True)
class List:
    """List methods, recipes, data, models, analyses or figures; or the runs of a folder."""

    table: tyro.conf.Positional[
        Literal["methods", "recipes", "data", "models", "analyses", "figures", "runs"]
    ]
    """Table to print."""
    folder: tyro.conf.Positional[Path | None] = None
    """Folder of the runs, after the word runs. Default: runs."""

    @staticmethod
    def check_words(words: Sequence[str]) -> None:
        """Check the table's name before the command line is parsed.

        Raises:
            InputError: there is no such table; the message has the nearest.
        """
        if words and not words[0].startswith("-") and words[0] not in (*_NEXT, "runs"):
            raise unknown("table", words[0], (*_NEXT, "runs"))

    def run(self) -> None:
        """Execute the command."""
        out = console()
        if self.table == "runs":
            from cli.commands.list_runs import list_runs

            list_runs(self.folder or Path("runs"), out)
            return
        if self.folder is not None:
            raise InputError(f"list {self.table} takes no folder; list runs {self.folder} does")
        tables = {
            "recipes": {name: _described(preset) for name, preset in RECIPES.items()},
            "data": {name: source.summary for name, source in SOURCES.items()},
            "models": MODELS,
            "analyses": {name: entry.summary for name, entry in ANALYSES.items()},
            "figures": {name: kind.summary for name, kind in FIGURES.items()}
            | {
                f"paper:{name}": f"{figure.title}: {figure.summary} ({figure.place.label})"
                for name, figure in PAPER_FIGURES.items()
            },
        }
        if self.table == "methods":
            _methods(out)
        else:
            table = Table(box=None, show_header=False)
            table.add_column(no_wrap=True)
            for name, summary in tables[self.table].items():
                table.add_row(name, summary)
            out.print(table)
        closing(out, [], [_NEXT[self.table]])


_WIDE = 120  # characters of a terminal that has room for five columns
_NEXT = {
    "methods": "tailscape show method cc-sam",
    "recipes": "tailscape train --recipe b",
    "data": "tailscape train --data digits",
    "models": "tailscape train --model resnet20",
    "analyses": "tailscape diagnose RUN --analyses spectrum,accuracy",
    "figures": "tailscape figure spectrum RUN",
}


def _described(preset: Preset) -> str:
    recipe = preset.recipe
    network = f", {preset.model}" if preset.model else ""
    return (
        f"{preset.summary} ({recipe.epochs} epochs of batches of {recipe.batch_size}, rate "
        f"{recipe.lr:g} by {recipe.schedule}, weight decay {recipe.weight_decay:g}{network})"
    )


def _methods(out: Console) -> None:
    out.print("a method is a system's name, or a sentence such as ce-drw+sam or crt-mixup+plot:")
    out.print("  LOSS[-WEIGHTING][-SAMPLER][-AUGMENTATION][-TRANSFORM][-STAGES]")
    out.print("  [+REGULARISER][+RULE][@VARIANT]")
    rows: list[tuple[str, ...]] = []
    for name, system in SYSTEMS.items():
        description = f"{system.sentence}: {system.summary}"
        variant = f"@released: {system.released or system.sentence}"
        rows.append(("system", name, description, system.paper, variant))
    for kind, parts in KINDS.items():
        for name, part in parts.items():
            variants = "; ".join(f"@{n}: {how}" for n, (_, how) in part.variants.items())
            rows.append((kind, name or "(none)", part.summary, part.paper, variants))
    header: tuple[str, ...] = ("part", "name", "description", "paper", "variants")
    if out.width < _WIDE:  # papers and variants stand behind the description
        rows = [
            (kind, name, "; ".join(text for text in told if text.strip("-")))
            for kind, name, *told in rows
        ]
        header = header[:3]
    table = Table(box=None)
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    out.print(table)
