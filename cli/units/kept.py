"""Which units are done already, and how their results were made otherwise than asked for."""

from cli.units.unit import Unit
from landscape.analyses.catalogue import differing_settings
from landscape.results.load import load_provenance, read_record
from landscape.results.surface import Surface


def is_done(unit: Unit) -> bool:
    """Tell whether a result is finished, and not older than its checkpoint."""
    checkpoint = unit.weights_file
    if not unit.output.is_file():
        return False
    if unit.analysis == "surface" and not read_record(unit.output, Surface)[0].done.all():
        return False
    return not checkpoint.is_file() or unit.output.stat().st_mtime >= checkpoint.stat().st_mtime


def difference(unit: Unit) -> str:
    """Name the settings in which an existing result differs from those asked for."""
    provenance = load_provenance(unit.output)
    stored = provenance.config["diagnose"]
    differing = differing_settings(provenance.analysis, stored, unit.config.plain())
    if not differing:
        return ""
    return f", made with another {', '.join(differing)}; --overwrite to redo it"
