"""``tailscape list runs``: a line for each run of a folder, from its small files."""

import math
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cli.console import closing
from cli.inspector.library import Facts, Library
from landscape.errors import InputError, quoted
from landscape.run import Run
from trainers.runs.folder import RunFolder


def list_runs(folder: Path, out: Console) -> None:
    """Print the runs of a folder: method, data, epochs, accuracy and what was analysed.

    Raises:
        InputError: there is no such folder, or no run in it.
    """
    library = Library.open(folder)
    names = library.names()
    if not names:
        raise InputError(f"'{folder}' holds no run; tailscape train --out {quoted(folder)}/NAME")
    table = Table(box=None, caption="accuracy: % of the test set, of the last epoch judged")
    for name in ("run", "method", "data", "epochs", "acc %", "analyses"):
        table.add_column(name, justify="right" if name in ("epochs", "acc %") else "left")
    for name in names:
        table.add_row(*_row(library.path(name), library.facts(name)))
    out.print(table)
    first = next((name for name in names if not library.facts(name).problem), names[0])
    closing(out, [], [f"tailscape show {quoted(folder / first)}"])


def _row(path: Path, facts: Facts) -> tuple[str, ...]:
    name = path.name if facts.name == "." else facts.name
    if facts.problem:
        return name, "", "", "", "", facts.problem
    data = facts.data if facts.imbalance <= 1 else f"{facts.data} {facts.imbalance:g}:1"
    accuracy = "–" if math.isnan(facts.accuracy) else f"{100 * facts.accuracy:.1f}"
    return name, facts.method, data, _epochs(path, facts), accuracy, ", ".join(Run(path).analyses)


def _epochs(path: Path, facts: Facts) -> str:
    if facts.epoch is None:  # of a model trained elsewhere
        return "–"
    try:
        return f"{facts.epoch}/{RunFolder(path).plan().epochs}"
    except InputError:  # written by another version, which a listing survives
        return str(facts.epoch)
