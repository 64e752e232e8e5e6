"""Read the file of a sweep: a grid of trainings, and what to compute and draw of each.

::

    out = "runs/table1"                  # default: runs/NAME of the file
    [train]                              # options of ``tailscape train`` for all runs
    data = "cifar10"
    [grid]                               # every combination of these values
    imbalance = [100, 50]
    seed = [0, 1, 2]
    [[run]]                              # rows beside the grid, each with every combination
    method = "ce-drw+sam"
    settings.rho = 0.5
    [diagnose]                           # options of ``tailscape diagnose``
    analyses = ["spectrum", "accuracy"]
    [[figure]]                           # arguments of ``tailscape figure``
    kind = "accuracy"
"""

import itertools
import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cli.commands.diagnose import Options
from cli.sweeps.options import flattened, read_options
from cli.units.evaluation import read_evaluations
from figures.catalogue import FIGURES
from landscape.analyses.catalogue import ANALYSES, added_settings
from landscape.config import DiagnoseConfig
from landscape.errors import InputError, unknown
from landscape.groups import GROUPS
from trainers.config import TrainConfig
from trainers.methods.grammar import parse_method

_SECTIONS = ("out", "train", "grid", "run", "diagnose", "figure")


@dataclass(frozen=True)
class SweepRun:
    """One training of a sweep."""

    name: str  # of its folder
    config: TrainConfig
    varied: Mapping[str, str]  # the values in which it may differ from others, but the seed


@dataclass(frozen=True)
class SweepFigure:
    """A figure over all runs of a sweep."""

    kind: str
    checkpoint: str = "last"
    scopes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sweep:
    """Hold what a sweep's file asks for."""

    out: Path  # folder of the runs
    runs: tuple[SweepRun, ...]
    diagnose: DiagnoseConfig | None = None
    figures: tuple[SweepFigure, ...] = field(default=())


def read_sweep(path: Path) -> Sweep:
    """Read a sweep's file.

    Args:
        path: TOML in UTF-8.

    Raises:
        InputError: it cannot be read, names what does not exist, or gives two runs one name.
    """
    content = _load(path)
    for name in content:
        if name not in _SECTIONS:
            raise unknown(f"table in '{path}'", name, _SECTIONS)
    out = Path(str(content.get("out", Path("runs") / path.stem))).expanduser()
    runs = tuple(_runs(content, path, out))
    twice = [name for name, count in Counter(run.name for run in runs).items() if count > 1]
    if twice:
        remedy = "give their [[run]] tables a name each"
        raise InputError(
            f"'{path}' describes two runs that would both be called '{twice[0]}'; "
            + (remedy if "run" in content else "take out one of the values that name it")
        )
    diagnose = None
    if "diagnose" in content:
        diagnose = _diagnosis(_table(content, "diagnose", path), f"'{path}' [diagnose]")
        diagnose.check()
        for name in diagnose.analyses:
            _known("analysis", name, ANALYSES)
        _check_scopes(diagnose.scopes)
        read_evaluations(diagnose.eval)
    figures = tuple(
        read_options(SweepFigure, one, f"'{path}' [[figure]]")
        for one in _tables(content, "figure", path)
    )
    for figure in figures:
        _known("figure", figure.kind, FIGURES)
        _check_scopes(figure.scopes)
        _check_options(figure, f"'{path}' [[figure]]")
    return Sweep(out, runs, diagnose, figures)


def _diagnosis(table: Mapping[str, Any], where: str) -> DiagnoseConfig:
    """Read the options of ``tailscape diagnose``, other packages' tables of settings included."""
    theirs = added_settings()
    rest = {n: value for n, value in table.items() if n.replace("_", "-") not in theirs}
    tables = {n.replace("_", "-"): value for n, value in table.items() if n not in rest}
    for name, value in tables.items():
        if not isinstance(value, Mapping):
            raise InputError(f"{where}: {name} has to be a table, [diagnose.{name}]")
    added: tuple[tuple[str, Any], ...] = tuple(
        (name, read_options(kind, tables.get(name, {}), f"{where[:-1]}.{name}]"))
        for name, kind in theirs.items()
    )
    return replace(read_options(Options, rest, where), added=added)


def _check_scopes(names: Sequence[str]) -> None:
    """Check scopes as far as they are known without the data, which number and name the classes."""
    for name in names:
        if not name.startswith("class/"):
            _known("scope", name.partition("@")[0], ("overall", *GROUPS, "classes"))


def _check_options(figure: SweepFigure, where: str) -> None:
    """Check that a figure's options are pairs, of names that the figure reads.

    Raises:
        InputError: naming the option.
    """
    for pair in figure.options:
        name, equals, _ = pair.partition("=")
        if not equals:
            raise InputError(f"{where}: options {pair!r} is not of the form name=value")
        kind = FIGURES[figure.kind]
        if not kind.module:  # what those of other packages read is not known before they do
            _known(f"option of figure '{figure.kind}' in {where}", name, kind.options)


def _known(kind: str, name: str, table: Collection[str]) -> None:
    if name not in table:
        raise unknown(kind, name, table)


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read '{path}' ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not TOML in UTF-8 ({error})") from error


def _runs(content: Mapping[str, Any], path: Path, out: Path) -> Iterator[SweepRun]:
    """Combine the grid with each row."""
    common = _joined(_options(_table(content, "train", path)))
    grid = _options(_table(content, "grid", path))
    grid = {name: value if isinstance(value, list) else [value] for name, value in grid.items()}
    _check_grid(grid, path)
    rows = [_joined(_options(row)) for row in _tables(content, "run", path)] or [{}]
    for row in rows:
        label = row.pop("name", None)
        free = [name for name in grid if name not in row]
        for values in itertools.product(*(grid[name] for name in free)):
            point = _joined(dict(zip(free, values, strict=True)))
            given = _merged(_merged(common, row), point)
            config = read_options(TrainConfig, given, f"'{path}'")
            varied = {n: _text(v) for n, v in zip(free, values, strict=True) if len(grid[n]) > 1}
            parse_method(config.method)
            name = _folder_name(label, config.method, varied)
            if not name.strip("."):
                raise InputError(f"'{path}' [[run]]: name = {label!r} is no name of a folder")
            shown = {"method": str(label or config.method)} | varied
            shown.pop("seed", None)
            yield SweepRun(name, replace(config, out=out / name), shown)


def _check_grid(grid: Mapping[str, list[Any]], path: Path) -> None:
    """Check that every option of the grid has values, no two alike.

    Raises:
        InputError: naming the option.
    """
    for name, values in grid.items():
        texts = [_text(value) for value in values]
        if not texts:
            raise InputError(f"'{path}' [grid]: {name} has no value, so there is no run; give some")
        twice = next((text for text in texts if texts.count(text) > 1), None)
        if twice is not None:
            raise InputError(f"'{path}' [grid]: {name} has the value {twice} twice; give it once")


def _options(table: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten options; a method's settings, ``settings.gamma``, keep their own spelling."""
    found = flattened(table).items()
    return {n if n.startswith("settings.") else n.replace("-", "_"): v for n, v in found}


def _joined(options: Mapping[str, Any]) -> dict[str, Any]:
    """Gather the settings of a method, ``settings.gamma = 2``, in the option ``settings``."""
    found = {name: v for name, v in options.items() if not name.startswith("settings.")}
    own = [f"{n[9:]}={_text(v)}" for n, v in options.items() if n not in found]
    return found | ({"settings": [*found.get("settings", []), *own]} if own else {})


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Override options by others; settings of the method are overridden one by one."""
    pairs = [*first.get("settings", []), *second.get("settings", [])]
    settings = {pair.partition("=")[0]: pair for pair in pairs}
    found = {**first, **second}
    return found | {"settings": list(settings.values())} if settings else found


def _folder_name(label: str | None, method: str, varied: Mapping[str, str]) -> str:
    parts = [label or method]
    for name, value in varied.items():
        short = name.rpartition(".")[2].replace("_", "-")
        if name != "method":
            parts.append(Path(value).name if name == "data" else f"{short}{value}")
    return re.sub(r"[^\w.+=@-]+", "-", "-".join(parts))


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _table(content: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    found = content.get(name, {})
    if not isinstance(found, Mapping):
        raise InputError(f"'{path}': {name} has to be a table, [{name}]")
    return found


def _tables(content: Mapping[str, Any], name: str, path: Path) -> list[Mapping[str, Any]]:
    found = content.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise InputError(f"'{path}': {name} has to be a list of tables, [[{name}]]")
    return found
