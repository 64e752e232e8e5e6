"""What a diagnosis prints of surfaces, gradients, features, similarity and sharpness."""

from pathlib import Path

from rich.table import Table

from landscape.groups import scope_classes
from landscape.results.load import read_record
from landscape.results.result import table_of
from landscape.results.sharpness import Sharpness
from landscape.results.spectrum import Spectrum

_MOST_NAMED = 12
# of one checkpoint, and of several
FIGURE_OF = {
    "spectrum": ("spectrum", "nonconvexity"),
    "spectrum-saddle": ("protocol", "protocol"),
    "accuracy": ("accuracy", "accuracy"),
    "surface": ("surface", "trajectory"),
    "gradients": ("conflicts", "gradient-similarity"),
    "features": ("feature-quality", "feature-quality"),
    "similarity": ("cca", "cca"),
    "sharpness": ("noise", "class-loss"),
}


def left_out(path: Path) -> str | None:
    """Name the scopes asked for that a result does not hold, as their classes have no samples.

    Args:
        path: of the result file.

    Returns:
        A line; ``None`` where there are none, or where the analysis has no scopes.
    """
    record, provenance = read_record(path)
    if not isinstance(record, Spectrum | Sharpness):
        return None
    config = provenance.config
    held = {str(name).partition("@")[0] for name in record.scope}  # a layer's row names both
    asked, split = config["diagnose"]["scopes"], config["diagnose"]["split"]
    names = [n for n in scope_classes(asked, config["class_counts"], split) if n not in held]
    if not names:
        return None
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"left out, for they have no samples: {', '.join(names[:_MOST_NAMED])}{more}"


def summary(run: Path, checkpoint: str, analysis: str) -> Table | None:
    """Build the table of an analysis of a checkpoint; ``None`` without a result.

    Args:
        run: run folder.
        checkpoint: its name.
        analysis: other than spectrum and accuracy, which have tables of their own.
    """
    path = run / "results" / analysis / f"{checkpoint}.h5"
    if not path.is_file():
        return None
    record, provenance = read_record(path)
    found = table_of(record)
    method = provenance.config["plan"]["method"]
    table = Table(
        title=f"{method}, {analysis}, {checkpoint} ({run.name})", caption=found.caption, box=None
    )
    for k, name in enumerate(found.header):
        table.add_column(name, justify="right" if k else "left")
    for row in found.rows:
        table.add_row(*row)
    return table
