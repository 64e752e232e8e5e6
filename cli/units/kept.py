"""Which units are done already, and how their results were made otherwise than asked for."""

import time
from pathlib import Path

from cli.units.unit import Unit
from landscape.analyses.catalogue import differing_settings
from landscape.results.load import load_provenance, read_record
from landscape.results.surface import Surface


def is_done(unit: Unit) -> bool:
    """Tell whether a result is finished, and of the weights that its checkpoint holds.

    It is where it was written after the checkpoint; where a copy, or a clock that was set back,
    leaves that open, the weights are compared.
    """
    checkpoint = unit.weights_file
    if not unit.output.is_file():
        return False
    if unit.analysis == "surface" and not read_record(unit.output, Surface)[0].complete:
        return False
    if not checkpoint.is_file():
        return True
    written, saved = unit.output.stat().st_mtime, checkpoint.stat().st_mtime
    if unit.outside is not None:
        return written >= max(saved, *(p.stat().st_mtime for p in unit.part_files), 0.0)
    return saved <= written <= time.time() or _has_weights_of(unit.output, checkpoint)


def _has_weights_of(output: Path, checkpoint: Path) -> bool:
    from landscape.subject.state_dict import state_sha256
    from trainers.runs.checkpoint import load_checkpoint

    stored = load_checkpoint(checkpoint)["model"]
    return load_provenance(output).weights_sha256 == state_sha256(stored)


def difference(unit: Unit) -> str:
    """Name the settings in which an existing result differs from those asked for."""
    provenance = load_provenance(unit.output)
    stored = provenance.config["diagnose"]
    differing = differing_settings(provenance.analysis, stored, unit.config.plain())
    if not differing:
        return ""
    one = len(differing) == 1 and not differing[0].endswith("s")
    which = "another" if one else "other"
    return f", made with {which} {', '.join(differing)}; --overwrite to redo it"
