"""``tailscape show method NAME``: print equations, and every setting with its source.

A value is the one for data without a published value; the published values that differ are listed.
"""

import shlex
from collections import defaultdict

from rich.console import Console
from rich.table import Table

from cli.console import closing
from trainers.methods.grammar import Method, parse_method
from trainers.methods.part import Setting, Value

ByData = dict[tuple[str, str], dict[str, Value]]


def show_method(name: str, out: Console) -> None:
    """Print the parts of a method or system, with or without a variant.

    Raises:
        InputError: the method is unknown.
    """
    method = parse_method(name)
    title = name if method.system is None else f"{name} = {method.sentence}"
    out.print(title, style="bold")
    if method.system is not None:
        out.print(f"{method.system.summary} ({method.system.paper})")
        if method.model:
            out.print(f"network of the released code: {method.model}")
        if method.system.note:
            out.print(method.system.note)
    values, special = method.settings(), by_data(method)
    for kind, part in method.parts.items():
        if method.words[kind] or part.settings:
            _show_part(method, kind, values.get(kind, {}), special, out)
    closing(out, [], [f"tailscape train --method {shlex.quote(name)}"])


def by_data(method: Method) -> ByData:
    """Find the settings of a method that depend on the data.

    Returns:
        By kind of part and setting, the values that differ from those for other data; for data
        with an imbalance, the values that differ from those for the same classes.
    """
    found: ByData = defaultdict(dict)
    general = method.settings()
    for keys in method.published_for():
        usual = method.settings(data=keys[:-1]) if len(keys) > 1 else general
        for kind, settings in method.settings(data=keys).items():
            for name, value in settings.items():
                if value != usual[kind][name]:
                    found[kind, name][_label(keys[-1])] = value
    return dict(found)


def _label(data: str) -> str:
    if data.startswith("clip"):
        classes = data.removeprefix("clip").lstrip("-")
        return f"CLIP, {classes} classes" if classes else "CLIP"
    classes, _, imbalance = data.partition("/")
    label = classes if classes == "digits" else f"{classes} classes"
    return f"{label}, imbalance {imbalance}" if imbalance else label


def _show_part(
    method: Method, kind: str, values: dict[str, Value], special: ByData, out: Console
) -> None:
    part = method.parts[kind]
    out.print(f"\n{kind} {method.words[kind]}: {part.summary} ({part.paper})")
    if part.equation:
        out.print(f"  {part.equation}")
    for name, (_, how) in part.variants.items():
        out.print(f"  @{name}: {how}")
    if kind == "rule" and method.words[kind]:
        out.print(
            "  under torchrun: ascents, objectives and BatchNorm's statistics are those of the "
            "whole batch, and none is a process's own"
        )
    if not part.settings:
        return
    table = Table(box=None, padding=(0, 2))
    for column in ("setting", "value", "by data", "allowed", "source"):
        table.add_column(column)
    for name, setting in part.settings.items():
        other = special.get((kind, name), {})
        listed = "\n".join(f"{data}: {value}" for data, value in other.items())
        source = setting.source
        if values[name] != setting.value:
            source = f"@{method.variant}; otherwise {setting.value}: {source}"
        table.add_row(name, str(values[name]), listed, _allowed(setting), source)
    out.print(table)


def _allowed(setting: Setting) -> str:
    words = ", ".join(setting.allowed) if isinstance(setting.allowed, tuple) else setting.allowed
    return f"{words}, with {'='.join(setting.only_with)}" if setting.only_with else str(words)
