"""Compute units of work: one analysis of one checkpoint, which writes one file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cli.sources.checkpoint_files import checkpoint_files
from cli.sources.external import open_external_source
from cli.sources.external_config import ExternalConfig
from cli.sources.source import CheckpointSource
from cli.sources.trained_run import open_run
from cli.units.evaluation import read_evaluation
from cli.units.inputs import INPUTS, OpenedUnit, PartialWriter, WarmStartVectors
from landscape.analyses.analysis import Progress
from landscape.analyses.catalogue import RELEASED_SPECTRUM, Analysis, find_analysis
from landscape.config import DiagnoseConfig
from landscape.device import choose_device
from landscape.errors import InputError, Setting
from landscape.results.matrix import MatrixSpec
from trainers.methods.grammar import parse_method
from trainers.runs.folder import RunFolder


@dataclass(frozen=True)
class Unit:
    """One analysis of one checkpoint; picklable."""

    run: Path
    checkpoint: str
    analysis: str
    config: DiagnoseConfig
    outside: ExternalConfig | None = None  # an external model, in place of a run's

    @property
    def output(self) -> Path:
        """The one file it writes."""
        return RunFolder(self.run).result(self.stored_as, self.checkpoint)

    @property
    def weights_file(self) -> Path:
        """The checkpoint it reads."""
        if self.outside is not None and self.outside.weights is not None:
            return checkpoint_files(self.outside.weights)[self.checkpoint]
        return RunFolder(self.run).checkpoint(self.checkpoint)

    @property
    def is_shared(self) -> bool:
        """Whether several processes can compute it together, each on a share of the samples."""
        return self.kind == "spectrum" and self.config.bn == "eval"

    @property
    def entry(self) -> Analysis:
        """Its line in the catalogue of analyses."""
        return find_analysis(self.kind)

    @property
    def kind(self) -> str:
        """The analysis as its file names it: spectra of the released protocol stand apart."""
        released = self.analysis == "spectrum" and self.config.protocol == "saddle"
        return RELEASED_SPECTRUM.name if released else self.analysis

    @property
    def stored_as(self) -> str:
        """Name of the folder: spectra of other matrices and surfaces of other kinds stand apart."""
        if self.kind == "spectrum":
            return f"spectrum{self.matrix.suffix}"
        if self.config.eval:
            return f"{self.kind}-{read_evaluation(self.config.eval[0]).name}"
        settings = getattr(self.config, self.kind, None)
        return self.kind + getattr(settings, "suffix", "")

    @property
    def matrix(self) -> MatrixSpec:
        """The matrix of a spectrum."""
        return MatrixSpec.of(self.config.spectrum, self.config.bn)


def run_unit(
    unit: Unit,
    progress: Progress | None = None,
    warm_start_vectors: WarmStartVectors | None = None,
    *,
    writes: bool = True,
) -> Path:
    """Compute a unit and write its file.

    Args:
        unit: the analysis and its checkpoint.
        progress: called with the name of each scope as it starts.
        warm_start_vectors: extreme vectors that one checkpoint's spectrum leaves to the next.
        writes: false in a process that only takes its share of the samples.

    Returns:
        The file written.

    Raises:
        InputError: the run, its data or its checkpoint cannot be used.
    """
    entry, source = unit.entry, open_source(unit)
    config = _resolved(unit, source)
    writer = PartialWriter(unit.output, config)
    subject = source.subject(unit.checkpoint, _logit_scale(unit, source.facts["plan"]["method"]))
    settings = getattr(config, entry.name, None)
    _check_batch_statistics(unit, settings)
    opened = OpenedUnit(
        subject,
        source,
        unit.checkpoint,
        config,
        settings,
        unit.output,
        writer,
        progress,
        warm_start_vectors,
    )
    options = {name: getattr(config, name) for name in entry.options}
    inputs = {name: INPUTS[name](opened) for name in entry.inputs}
    given = () if settings is None else (settings,)
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
