"""Units of work: one analysis of one checkpoint, which reads files and writes one file."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from cli.sources.checkpoint_files import checkpoint_files
from cli.sources.external import open_external_source
from cli.sources.external_config import ExternalConfig
from cli.sources.source import CheckpointSource
from cli.sources.trained_run import open_run
from cli.units.inputs import ANALYSES, Job, Memory
from landscape.analyses.catalogue import differing_settings
from landscape.config import DiagnoseConfig
from landscape.device import choose_device
from landscape.errors import InputError
from landscape.results.hdf5 import save
from landscape.results.load import Record, read_record
from landscape.results.matrix import Matrix
from landscape.results.provenance import Provenance
from landscape.results.surface import Surface
from landscape.subject.state_dict import weights_sha256
from trainers.methods.grammar import parse_method
from trainers.runs.folder import RunFolder

Progress = Callable[[str], None]
_KEEP_SECONDS = 5.0


@dataclass(frozen=True)
class Unit:
    """One analysis of one checkpoint; picklable."""

    run: Path
    checkpoint: str
    analysis: str
    config: DiagnoseConfig
    outside: ExternalConfig | None = None  # a model of one's own, in place of a run's

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
    def kind(self) -> str:
        """The analysis as its file names it: spectra of the released protocol stand apart."""
        released = self.analysis == "spectrum" and self.config.protocol == "saddle"
        return "spectrum-saddle" if released else self.analysis

    @property
    def stored_as(self) -> str:
        """Name of the folder: spectra of other matrices and surfaces of other kinds stand apart."""
        if self.kind == "spectrum":
            return f"spectrum{Matrix.of(self.config).suffix}"
        if self.analysis != "surface":
            return self.kind
        surface = self.config.surface
        other = "" if surface.directions == "random" else f"-{surface.directions}"
        return f"surface{other}" + (f"-seed{surface.seeds[0]}" if surface.seeds[0] else "")


def run_unit(
    unit: Unit,
    progress: Progress | None = None,
    memory: Memory | None = None,
    *,
    writes: bool = True,
) -> Path:
    """Compute a unit and write its file.

    Args:
        unit: what to compute.
        progress: called with the name of each scope as it starts.
        memory: extreme vectors that one checkpoint's spectrum leaves to the next.
        writes: false in a process that only takes its share of the samples.

    Returns:
        The file written.

    Raises:
        InputError: the run, its data or its checkpoint cannot be used.
    """
    started = time.perf_counter()
    config, device = unit.config, choose_device(unit.config.device)
    source = open_source(unit)
    stored = source.facts
    subject = source.subject(unit.checkpoint, _logit_scale(unit, stored["plan"]["method"]))
    kind = unit.kind
    provenance = Provenance(
        analysis=kind,
        checkpoint=unit.checkpoint,
        config={
            "run": unit.run.resolve().name,
            "plan": stored["plan"],
            "diagnose": json.loads(json.dumps(asdict(config), default=str)),
            "class_names": stored["class_names"],
            "class_counts": stored["class_counts"],
        },
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=config.seed,
        dtype=config.dtype,
        device=device.type,
        torch=str(torch.__version__),
        weights_sha256=weights_sha256(subject.model),
        data_sha256=stored["data_sha256"],
        bn_mode=_bn_mode(kind, config),
        loss=subject.loss.name,
        seconds=0.0,
    )
    partial = _partial(unit, provenance)
    keep = _PartialWriter(unit.output, provenance, started)
    job = Job(
        subject, source, unit.checkpoint, config, progress, memory, partial, keep.now_and_then
    )
    record = ANALYSES[kind](job)
    if writes:
        keep.write(record)
    return unit.output


def _bn_mode(kind: str, config: DiagnoseConfig) -> str:
    """BatchNorm's mode in an analysis.

    Raises:
        InputError: batch statistics are asked of one that has none.
    """
    if kind == "gradients" and config.gradients.batches:
        return "batch" if config.gradients.mode == "train" else "eval"
    if kind == "surface" and config.surface.statistics == "recomputed":
        return "recomputed"
    if config.bn == "batch" and kind not in {"spectrum", "accuracy"}:
        raise InputError(f"--bn batch is for spectrum and accuracy; '{kind}' judges in eval mode")
    return config.bn


class _PartialWriter:
    """Writes a record; unfinished ones every few seconds, so that a kill loses little."""

    def __init__(self, path: Path, provenance: Provenance, started: float) -> None:
        self._path, self._provenance, self._started = path, provenance, started
        self._last = time.perf_counter()

    def write(self, record: Record) -> None:
        seconds = time.perf_counter() - self._started
        save(record, replace(self._provenance, seconds=seconds), self._path)

    def now_and_then(self, record: Record) -> None:
        if time.perf_counter() - self._last > _KEEP_SECONDS:
            self.write(record)
            self._last = time.perf_counter()


def _partial(unit: Unit, provenance: Provenance) -> Surface | None:
    """Read what an interrupted surface left, if it was made alike."""
    if unit.analysis != "surface" or unit.config.overwrite or not unit.output.is_file():
        return None
    found, before = read_record(unit.output, Surface)
    if found.done.all():
        return None
    stored, asked = (p.config["diagnose"] for p in (before, provenance))
    alike = not differing_settings("surface", stored, asked)
    if before.weights_sha256 != provenance.weights_sha256 or not alike:
        raise InputError(
            f"'{unit.output}' is an unfinished surface of other settings or weights; --overwrite "
            "starts it anew"
        )
    return found


def open_source(unit: Unit) -> CheckpointSource:
    """Open where a unit's checkpoint comes from.

    Raises:
        InputError: the run, the model or the data cannot be used.
    """
    config, device = unit.config, choose_device(unit.config.device)
    if unit.outside is not None:
        return open_external_source(unit.outside, device, config.data_root, config.workers)
    return open_run(unit.run, device, config.data_root, config.workers)


def _logit_scale(unit: Unit, method: str) -> float | None:
    """The released protocol judges a cosine classifier's plain cosines."""
    asked = unit.config.logit_scale
    if unit.kind != "spectrum-saddle" or asked is not None or unit.outside is not None:
        return asked
    return 1.0 if parse_method(method).parts["loss"].head == "cosine" else None
