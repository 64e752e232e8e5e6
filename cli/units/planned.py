"""The units of a diagnosis: every analysis asked for, of every checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli.sources.external_config import ExternalConfig
from cli.units.evaluation import read_evaluations
from cli.units.unit import Unit
from landscape.config import DiagnoseConfig
from landscape.groups import numbered_scopes, scope_classes


def planned_units(
    run: Path,
    checkpoints: Sequence[str],
    facts: Mapping[str, Any],
    options: DiagnoseConfig,
    outside: ExternalConfig | None = None,
) -> list[Unit]:
    """List the units, each with its settings resolved by the run's configuration.

    Args:
        run: folder of the results.
        checkpoints: their names.
        facts: the run's ``config.json``.
        options: what to compute.
        outside: an external model, in place of a run's.

    Raises:
        InputError: a scope does not exist.
    """
    options = replace(options, split=options.split or facts["plan"].get("split"))
    scopes = numbered_scopes(options.scopes, facts["class_names"])
    scope_classes(scopes, facts["class_counts"], options.split)
    options = replace(options, scopes=scopes)
    # spectra go first, since other analyses of a checkpoint may use them
    return [
        Unit(run, name, analysis, config, outside)
        for name in checkpoints
        for analysis in sorted(options.analyses, key=lambda name: name != "spectrum")
        for config in _configs(analysis, options)
    ]


def _configs(analysis: str, options: DiagnoseConfig) -> list[DiagnoseConfig]:
    """Split settings by file: each seed of random directions, and each set of other images."""
    alone = replace(options, eval=())
    if analysis == "accuracy":
        parts = [part for one in read_evaluations(options.eval) for part in one.parts()]
        return [alone, *(replace(options, eval=(part.word,)) for part in parts)]
    if analysis != "surface":
        return [alone]
    return [
        replace(alone, surface=replace(options.surface, seeds=(seed,)))
        for seed in options.surface.seeds
    ]
