"""``tailscape list``: what there is to choose from."""

from dataclasses import dataclass
from typing import Literal

import tyro
from rich.table import Table

from cli.console import closing, console
from figures.catalogue import FIGURES
from landscape.config import ANALYSES
from trainers.data.catalogue import SOURCES
from trainers.methods import LOSSES, RULES, WEIGHTINGS, Part
from trainers.models.catalogue import MODELS


@dataclass(frozen=True)
class List:
    """List methods, data, models, analyses or figures."""

    what: tyro.conf.Positional[Literal["methods", "data", "models", "analyses", "figures"]]
    """Which table."""

    def run(self) -> None:
        """Execute the command."""
        out = console()
        tables = {
            "data": {name: source.summary for name, source in SOURCES.items()},
            "models": MODELS,
            "analyses": ANALYSES,
            "figures": {name: kind.summary for name, kind in FIGURES.items()},
        }
        if self.what == "methods":
            out.print("a method is LOSS[-WEIGHTING][+RULE][@VARIANT]: ce-drw+sam", markup=False)
            out.print(_methods())
        else:
            table = Table(box=None, show_header=False)
            for name, summary in tables[self.what].items():
                table.add_row(name, summary)
            out.print(table)
        closing(out, [], [_NEXT[self.what]])


_NEXT = {
    "methods": "tailscape train --method ce-drw+sam",
    "data": "tailscape train --data digits",
    "models": "tailscape train --model resnet20",
    "analyses": "tailscape diagnose RUN --analyses spectrum,accuracy",
    "figures": "tailscape figure spectrum RUN",
}


def _methods() -> Table:
    table = Table(box=None)
    for name in ("part", "name", "what it is", "settings", "paper", "variants"):
        table.add_column(name)
    groups: dict[str, dict[str, Part]] = {
        "loss": LOSSES,
        "weighting": WEIGHTINGS,
        "rule": RULES,
    }
    for kind, parts in groups.items():
        for name, part in parts.items():
            settings = ", ".join(f"{n}={s.value}" for n, s in part.settings.items())
            variants = "; ".join(f"@{n}: {how}" for n, (_, how) in part.variants.items())
            table.add_row(kind, name or "(none)", part.summary, settings, part.paper, variants)
    return table
