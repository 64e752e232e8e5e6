"""Compute a unit of work: open its source, run its analysis, write its file."""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from cli.sources.external import open_external_source
from cli.sources.source import CheckpointSource
from cli.sources.trained_run import open_run
from cli.units.inputs import INPUTS, Handover, OpenedUnit, PartialWriter, judged_data
from cli.units.kept import is_done
from cli.units.unit import Unit
from landscape.analyses.analysis import Progress
from landscape.analyses.catalogue import RELEASED_SPECTRUM
from landscape.analyses.similarity_measures import ROWS_A_DIMENSION
from landscape.config import DiagnoseConfig, SimilarityConfig
from landscape.device import choose_device
from landscape.distributed import is_launched, sharing
from landscape.errors import DataWarning, InputError, Setting
from landscape.results.atomic import unwritable
from landscape.results.claim import claimed
from landscape.subject.data import LabelledData
from landscape.subject.subject import Subject
from trainers.methods.grammar import parse_method


def run_unit(
    unit: Unit,
    progress: Progress | None = None,
    handover: Handover | None = None,
    *,
    writes: bool = True,
) -> Path:
    """Compute a unit and write its file.

    Args:
        unit: the analysis and its checkpoint.
        progress: called with the name of each scope as it starts.
        handover: what the units before left, and this one leaves to those that follow.
        writes: false in a process that only takes its share of the samples.

    Returns:
        The file written, by this process or by another that was at it just before.

    Raises:
        Taken: another process computes it.
        InputError: the run, its data or its checkpoint cannot be used.
    """
    if not writes:
        return _computed(unit, progress, handover, writes=False)
    with _held(unit):
        # processes of torchrun have looked already, all at once
        if not (unit.config.overwrite or is_launched()) and is_done(unit):
            return unit.output
        return _computed(unit, progress, handover, writes=True)


@contextmanager
def _held(unit: Unit) -> Iterator[None]:
    """Hold a unit as the only process that computes it."""
    output = unit.output
    with ExitStack() as stack:
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            lock = output.with_name(f".{output.stem}.lock")
            stack.enter_context(claimed(lock, f"'{output}'"))
        except OSError as error:
            raise unwritable(output, error) from error
        yield


def _computed(
    unit: Unit,
    progress: Progress | None,
    handover: Handover | None,
    *,
    writes: bool,
) -> Path:
    entry, (source, subject) = unit.entry, open_subject(unit)
    config = _resolved(unit, source)
    settings = config.settings_of(entry.name)
    if settings is None and entry.settings is not None:
        settings = entry.settings()
    _check_batch_statistics(unit, settings)
    judged = judged_data(source, config, settings) if "data" in entry.inputs else ""
    writer = PartialWriter(unit.output, config, writes=writes, judged=judged)
    opened = OpenedUnit(
        subject,
        source,
        unit.checkpoint,
        config,
        settings,
        unit.output,
        writer,
        progress,
        unit.run,
        unit.shares_spectra,
        handover or Handover(),
    )
    options = {name: getattr(config, name) for name in entry.options}
    inputs = {name: INPUTS[name](opened) for name in entry.inputs}
    if isinstance(settings, SimilarityConfig):
        settings = _within_samples(settings, subject, inputs["data"])
    given = () if settings is None else (settings,)
    with sharing(unit.is_shared):
        record = entry.load()(subject, *given, **options, **inputs)
    if writes:
        writer.write(record)
    return unit.output


def _resolved(unit: Unit, source: CheckpointSource) -> DiagnoseConfig:
    """Resolve the size of mini-batches, which is that of the training where it is known."""
    config = unit.config
    if unit.analysis == "gradients" and config.gradients.batches:
        return replace(config, batch_size=source.batch_size or config.batch_size)
    return config


def _within_samples(
    settings: SimilarityConfig, subject: Subject, data: LabelledData
) -> SimilarityConfig:
    """Keep no more principal components than CCA has samples for, unless their number is given."""
    if settings.components is not None:
        return settings
    counts = torch.bincount(data.labels[data.labels >= 0])
    rows = int(counts[counts > 0].min())
    width = getattr(subject.model.get_submodule(subject.classifier_name()), "in_features", 0)
    most = rows // ROWS_A_DIMENSION
    if not 0 < most < width:
        return settings
    warnings.warn(
        f"similarity keeps {most} principal components of {width} dimensions: CCA needs n ≥ "
        f"{ROWS_A_DIMENSION} d rows, and the smallest class has {rows} samples "
        "(--similarity.components)",
        DataWarning,
        stacklevel=2,
    )
    return replace(settings, components=most)


def _check_batch_statistics(unit: Unit, settings: Any) -> None:
    """Check that batch statistics are asked of analyses that know them.

    Raises:
        InputError: they are not.
    """
    known = "bn" in unit.entry.options or bool(getattr(settings, "bn_mode", ""))
    if unit.config.bn == "batch" and not known:
        raise InputError(
            Setting("bn"),
            f" batch is for spectrum and accuracy; '{unit.kind}' judges in eval mode",
        )


def open_subject(unit: Unit) -> tuple[CheckpointSource, Subject]:
    """Open the source of a unit and its checkpoint.

    Raises:
        InputError: the run, its data or its checkpoint cannot be used.
    """
    source = open_source(unit)
    scale = _logit_scale(unit, source.facts["plan"]["method"])
    return source, source.subject(unit.checkpoint, scale)


def open_source(unit: Unit) -> CheckpointSource:
    """Open the source of a unit's checkpoint.

    Raises:
        InputError: the run, the model or the data cannot be used.
    """
    config, device = unit.config, choose_device(unit.config.device)
    if unit.outside is not None:
        return open_external_source(unit.outside, device, config.data_root, config.workers)
    return open_run(unit.run, device, config.data_root, config.workers)


def _logit_scale(unit: Unit, method: str) -> float | None:
    """Resolve the logit scale: the released protocol judges a cosine classifier's plain cosines."""
    asked = unit.config.logit_scale
    if unit.entry is not RELEASED_SPECTRUM or asked is not None or unit.outside is not None:
        return asked
    return 1.0 if parse_method(method).parts["loss"].head == "cosine" else None
