"""``tailscape show``: print the content of a run or of a result file."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.tree import Tree

from cli.commands.show_method import show_method
from cli.console import closing, console
from cli.tables import class_table
from landscape.analyses.catalogue import find_analysis
from landscape.errors import InputError, quoted, unknown
from landscape.results.checkpoint_names import course, ordered, short
from landscape.results.fields import datasets
from landscape.results.load import read_record
from landscape.results.provenance import Provenance


@dataclass(frozen=True)
class Show:
    """Show a run folder, a result file, or a method, as in: show method cc-sam@released."""

    path: tyro.conf.Positional[Path]
    """A run folder, an HDF5 result file, or the word method."""
    name: tyro.conf.Positional[Annotated[str | None, tyro.conf.arg(metavar="[NAME]")]] = None
    """Name of the method, after the word method."""
    verify: bool = False
    """Compare the files of a run, or of a folder of runs, with the checksums they end with."""

    def run(self) -> None:
        """Execute the command."""
        out = console()
        if self.verify:
            from cli.commands.verify import verify

            verify(self.path, out)
            return
        if self.name is not None:
            if self.path != Path("method"):
                raise InputError(f"show takes one path, or 'method {self.name}'")
            show_method(self.name, out)
        elif self.path.is_dir():
            _show_run(self.path, out)
        elif self.path.suffix == ".h5":
            _show_result(self.path, out)
        elif not self.path.exists():
            raise _absent(self.path)
        else:
            raise InputError(f"'{self.path}' is neither a run folder nor an .h5 result file")


def _absent(path: Path) -> InputError:
    """Build the error for a path where there is nothing, or for the word method alone."""
    if path == Path("method"):
        return InputError(
            "name the method, as in tailscape show method cc-sam; tailscape list methods lists them"
        )
    beside = sorted(p.name for p in path.parent.glob("*/")) if path.parent.is_dir() else []
    if not beside:
        return InputError(f"there is no '{path}'; give a run folder or an .h5 result file")
    return unknown(f"run in '{path.parent}'", path.name, beside)


def _show_run(path: Path, out: Console) -> None:
    from trainers.runs.folder import RunFolder

    folder = RunFolder(path)
    stored = folder.config()
    plan = stored["plan"]
    tree = Tree(f"{path}: {plan['method']} on {plan['data']}, imbalance {plan['imbalance']:g}")
    names = ("created", "git_commit", "device", "data_sha256", "versions")
    external = [f"{name}: {value}" for name, value in stored.get("outside", {}).items() if value]
    known = [f"{name}: {_written(stored[name])}" for name in names if stored.get(name)]
    _branch(tree, "origin", [*known, *external])
    classes = dict(zip(stored["class_names"], stored["class_counts"], strict=True))
    tree.add(f"classes (training images): {_written(classes)}")
    _branch(tree, "checkpoints", [_listed(folder.checkpoint_names())])
    results = sorted((path / "results").glob("*/"))
    found = {one.name: [file.stem for file in one.glob("[!.]*.h5")] for one in results}
    lines = [f"{name}: {_listed(checkpoints)}" for name, checkpoints in found.items()]
    _branch(tree, "results", [line for line in lines if not line.endswith(": ")] or ["none yet"])
    drawn = [file.name for file in sorted((path / "figures").glob("*"))]
    if drawn:
        _branch(tree, "figures", drawn)
    out.print(tree)
    metrics = folder.metrics()
    if metrics:
        last = metrics[-1]
        loss = last.get("train_loss", math.nan)
        out.print(
            f"epoch {last['epoch']} of {folder.plan().epochs}: train loss {loss:.4f}"
            + (f", test {100 * last['test_accuracy']:.1f} %" if "test_accuracy" in last else "")
        )
    spectra = course(p.stem for p in (path / "results" / "spectrum").glob("*.h5"))
    table = class_table(path, spectra[-1], width=out.width) if spectra else None
    if table is not None:
        out.print(table)
    closing(
        out,
        [],
        [f"tailscape {'figure spectrum' if spectra else 'diagnose'} {quoted(path)}"],
    )


def _written(value: object) -> str:
    """Write a value for readers; the entries of a mapping side by side."""
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(f"{name} {one}" for name, one in value.items())


def _listed(checkpoints: Iterable[str]) -> str:
    """List checkpoints as the command line takes them."""
    return ", ".join(short(name) for name in ordered(checkpoints))


def _branch(tree: Tree, name: str, lines: list[str]) -> None:
    branch = tree.add(name)
    for line in lines:
        branch.add(line)


def _origin(provenance: Provenance) -> Iterator[str]:
    """Write where a result is from; of the configuration, run, method and its own settings."""
    facts = asdict(provenance)
    stored = facts.pop("config")
    for name, value in facts.items():
        yield f"{name}: {value}"
    if "run" in stored:
        yield f"run: {stored['run']}, {stored.get('plan', {}).get('method', '')}"
    asked = stored.get("diagnose", {})
    for word in (facts["analysis"].replace("-", "_"), facts["analysis"].partition("-")[0]):
        if isinstance(asked.get(word), dict):
            yield f"settings: {_written(asked[word])}"
            return


def _show_result(path: Path, out: Console) -> None:
    record, provenance = read_record(path)
    tree = Tree(str(path))
    _branch(tree, "origin", list(_origin(provenance)))
    data = tree.add("datasets")
    for name, where, axes in datasets(record):
        value = np.asarray(getattr(record, name))
        line = f"{where} ({', '.join(axes)}) {value.shape} {value.dtype.name}"
        data.add(line + (f": {value}" if value.size <= 12 else ""))
    out.print(tree)
    run = path.resolve().parents[2] if len(path.resolve().parents) > 2 else path.parent
    is_spectrum = provenance.analysis == "spectrum"
    table = class_table(run, path.stem, path.parent.name, out.width) if is_spectrum else None
    if table is not None:
        out.print(table)
    closing(
        out,
        [],
        [f"tailscape figure {find_analysis(provenance.analysis).figures[0]} {quoted(run)}"],
    )
