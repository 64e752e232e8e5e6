"""What ``tailscape show method NAME`` prints: equations, and every setting with its source."""

from rich.console import Console
from rich.table import Table

from cli.console import closing
from trainers.methods import parse_method
from trainers.part import Part


def show_method(name: str, out: Console) -> None:
    """Print a method's parts.

    Args:
        name: a sentence or a system's name, with a variant or without.
        out: where to print.

    Raises:
        InputError: the method is not known.
    """
    method = parse_method(name)
    title = name if method.system is None else f"{name} = {method.sentence}"
    out.print(title, style="bold", markup=False)
    if method.system is not None:
        out.print(f"{method.system.summary} ({method.system.paper})", markup=False)
        if method.model:
            out.print(f"network of the released code: {method.model}", markup=False)
    for kind, part in method.parts.items():
        word = method.words[kind]
        if word or part.settings:
            _show_part(kind, word, part, method.variant, out)
    closing(out, [], [f"tailscape train --method {name}"])


def _show_part(kind: str, word: str, part: Part, variant: str, out: Console) -> None:
    out.print(f"\n{kind} {word}: {part.summary} ({part.paper})", markup=False)
    if part.equation:
        out.print(f"  {part.equation}", markup=False)
    for name, (_, how) in part.variants.items():
        out.print(f"  @{name}: {how}", markup=False)
    if not part.settings:
        return
    table = Table(box=None, padding=(0, 2))
    for column in ("setting", "value", "by data", "source"):
        table.add_column(column)
    values = part.resolved(variant)
    for name, setting in part.settings.items():
        by_data = [
            f"{data}: {found[name]}" for data, found in part.by_data.items() if name in found
        ]
        changed = values[name] != setting.value
        source = (
            f"@{variant}; else {setting.value}: {setting.source}" if changed else setting.source
        )
        table.add_row(name, str(values[name]), ", ".join(by_data), source)
    out.print(table, markup=False)
