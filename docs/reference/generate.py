"""Write the pages of this folder that are read from the code.

Run it after a method, an analysis, a figure, a record or a setting has changed; a test compares.
"""

import ast
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import tyro

from cli.main import Command
from figures.catalogue import FIGURES
from landscape.analyses.catalogue import ANALYSES
from landscape.results.fields import datasets
from landscape.results.provenance import Provenance
from trainers.methods.grammar import KINDS
from trainers.methods.systems import SYSTEMS

Row = tuple[str, ...]
HERE = Path(__file__).parent
_NOTE = "<!-- written by docs/reference/generate.py -->\n"
_METHODS = """# Methods

A method is a sentence,
`LOSS[-WEIGHTING][-SAMPLER][-AUGMENTATION][-TRANSFORM][-STAGES][+REGULARISER][+RULE][@VARIANT]`;
every combination can be trained, but for pairs of which one excludes the other. A paper's system
has a name that abbreviates its sentence or its base (`mislas+plot`); where its released code
differs from the paper, `@paper` and `@released` choose. `tailscape show method NAME` prints the
sources and the ranges of the settings, and their values by data set.
"""
_ANALYSES = """# Analyses and figures

`tailscape diagnose RUN --analyses NAME,…` writes one HDF5 file per analysis and checkpoint;
`tailscape figure KIND RUN…` draws them. The [gallery](../gallery.md) shows every kind with its
command, and [which number answers which question](../explanation/numbers.md) says what each is for.
"""
_SETTINGS = """# Commands and settings

The options of every command, from the classes that it fills. In TOML (`--config FILE` of `train`
and `diagnose`) they have the same names, those with a dot in tables: `--spectrum.steps 40` is
`steps = 40` under `[spectrum]`. In Python an analysis takes its table as an object:
`landscape.SpectrumConfig(steps=40)`.
"""
_FILES = """# Result files

One HDF5 file per analysis and checkpoint, `results/ANALYSIS/CHECKPOINT.h5` in the run's folder.
Axes are HDF5 dimension scales of the names given here, so that xarray opens the files; texts are
UTF-8; NaN stands where there is nothing to say. [Files](../explanation/files.md) says what may
change.
"""
_HEADER = ("option", "values", "default", "meaning")
_HEADINGS = {"options": "", "outside": "model"}  # others have the names of their fields


def pages() -> dict[str, str]:
    """Write the pages, by the names of their files."""
    return {
        "methods.md": _methods(),
        "analyses.md": _analyses(),
        "settings.md": _settings(),
        "hdf5.md": _files(),
    }


def _methods() -> str:
    systems = [
        (
            f"`{name}`",
            f"`{one.sentence}`: {one.summary}",
            f"`{one.released}`" if one.released else "as the paper",
            one.paper,
        )
        for name, one in SYSTEMS.items()
    ]
    parts = [
        _METHODS,
        "\n## Systems\n",
        *_table(("name", "sentence", "released code", "paper"), systems),
    ]
    for kind, table in KINDS.items():
        rows = [
            (
                f"`{name}`" if name else "none",
                "; ".join(
                    [one.summary, *(f"`@{v}`: {how}" for v, (_, how) in one.variants.items())]
                ),
                f"`{one.equation}`" if one.equation else "",
                ", ".join(f"{n} = {setting.value}" for n, setting in one.settings.items()),
                one.paper,
            )
            for name, one in table.items()
        ]
        header = ("name", "description", "equation", "settings", "paper")
        parts += [f"\n## {kind.capitalize()}\n", *_table(header, rows)]
    return _page(parts)


def _analyses() -> str:
    analyses = [
        (
            f"[`{name}`](settings.md#diagnose-{name})" if one.settings else f"`{name}`",
            one.summary,
            ", ".join(f"`{kind}`" for kind, figure in FIGURES.items() if figure.shows == name),
        )
        for name, one in ANALYSES.items()
    ]
    figures = [
        (f"[`{kind}`](../gallery.md#{kind})", one.summary, one.shows or "several")
        for kind, one in FIGURES.items()
    ]
    parts = [_ANALYSES, "\n## Analyses\n", *_table(("name", "content", "figures"), analyses)]
    return _page(
        [*parts, "\n## Figures\n", *_table(("name", "what it shows", "of analysis"), figures)]
    )


def _settings() -> str:
    parts = [_SETTINGS]
    for entry in get_args(Command):
        command, name = get_args(entry)[0], entry.__metadata__[0].name
        rows, below = _sections(command, name)
        parts += [f"\n## {name}\n", f"\n{_sentence(command)}\n", *_table(_HEADER, rows), *below]
    return _page(parts)


def _sections(kind: type, title: str, prefix: str = "") -> tuple[list[Row], list[str]]:
    """List the options of a class, and write those of the classes in it under headings."""
    plain, annotated = get_type_hints(kind), get_type_hints(kind, include_extras=True)
    told, rows, below = _lines_below(kind), list[Row](), list[str]()
    for item in fields(kind):
        hint, is_marked = plain[item.name], hasattr(annotated[item.name], "__metadata__")
        if annotated[item.name] == tyro.conf.Suppress[hint]:
            continue
        if not is_dataclass(hint):
            rows.append(_row(item, hint, told[item.name], prefix, is_positional=is_marked))
            continue
        assert isinstance(hint, type)
        inner, deeper = _sections(hint, title, "" if is_marked else f"{item.name}.")
        heading = _HEADINGS.get(item.name, item.name)
        if heading:
            below += [f"\n### {title} {heading}\n", *_table(_HEADER, inner), *deeper]
        else:  # the command's own
            rows, below = rows + inner, below + deeper
    return rows, below


def _row(item: Field[Any], hint: Any, told: str, prefix: str, *, is_positional: bool) -> Row:
    flag = item.name.replace("_", "-")
    if hint is bool and item.default is True:
        return f"`--{prefix}no-{flag}`", _values(hint), "", f"Turns off: {told}"
    name = flag.upper() if is_positional else f"--{prefix}{flag}"
    return f"`{name}`", _values(hint), _default(item), told


def _files() -> str:
    parts = [_FILES]
    attributes = [(f"`{name}`", hint.__name__) for name, hint in _attributes().items()]
    parts += ["\n## Root attributes\n", *_table(("name", "type"), attributes)]
    for name, entry in ANALYSES.items():
        record = entry.record_type()
        told = _comments(record)
        rows = [
            (f"`{one.path}`", ", ".join(one.axes) or "a single value", told.get(one.field, ""))
            for one in datasets(record)
        ]
        parts += [f"\n## {name}\n", f"\n{_sentence(record)}\n"]
        parts += _table(("dataset", "axes", "content"), rows)
    return _page(parts)


def _attributes() -> dict[str, type]:
    hints = get_type_hints(Provenance)
    return {name: str if name == "config" else hint for name, hint in hints.items()}


def _comments(kind: type) -> Mapping[str, str]:
    """Read the comment that trails each field of a class, or stands above it."""
    found, above = dict[str, str](), list[str]()
    for line in inspect.getsource(kind).splitlines():
        code, _, comment = (part.strip() for part in line.partition("# "))
        if code and ": " in code and " = axes(" in code:
            found[code.partition(":")[0]] = comment or " ".join(above)
        above = [*above, comment] if not code and comment else []
    return found


def _values(hint: Any) -> str:
    kinds = [kind for kind in (get_args(hint) or (hint,)) if kind is not type(None)]
    if get_origin(hint) is Literal:
        return ", ".join(str(kind) for kind in kinds)
    if get_origin(hint) is tuple:
        return f"{_values(kinds[0])}, …" if Ellipsis in kinds else ", ".join(map(_values, kinds))
    if len(kinds) == 1 and kinds[0] is not hint:
        return _values(kinds[0])
    names = {str: "text", int: "integer", float: "number", bool: "switch", Path: "path"}
    return names[hint]


def _default(item: Field[Any]) -> str:
    value = item.default
    if value is MISSING or value is None or isinstance(value, bool) or value == ():
        return ""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _lines_below(kind: type) -> Mapping[str, str]:
    """Read the text below each field of a class, and of those it inherits from."""
    if kind is object:
        return {}
    (tree,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(tree, ast.ClassDef)
    found = dict(_lines_below(kind.__mro__[1]))
    for line, below in zip(tree.body, tree.body[1:], strict=False):
        told = below.value if isinstance(below, ast.Expr) else None
        if isinstance(line, ast.AnnAssign) and isinstance(told, ast.Constant):
            assert isinstance(line.target, ast.Name)
            found[line.target.id] = " ".join(str(told.value).split())
    return found


def _sentence(kind: type) -> str:
    return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    lines = [list(header)]
    lines += [["---"] * len(lines[0]), *([_cell(cell) for cell in row] for row in rows)]
    return ["\n", *(f"| {' | '.join(line)} |\n" for line in lines)]


def _cell(text: str) -> str:
    escaped = text.replace("|", "\\|")
    return escaped if "`" in text else escaped.replace("<", "&lt;").replace("*", "\\*")


def _page(parts: Iterable[str]) -> str:
    head, *rest = parts
    title, _, text = head.partition("\n")
    return "".join([title, "\n\n", _NOTE, text, *rest])


if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
