"""What a diagnosis prints of surfaces, gradients, features, similarity and sharpness."""

from pathlib import Path

from rich.table import Table

from landscape.record_table import table_of
from landscape.results import load

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
    record, provenance = load(path)
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
