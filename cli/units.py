"""Units of work: one analysis of one checkpoint, which reads files and writes one file."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import torch

from landscape.accuracy import accuracy
from landscape.config import DiagnoseConfig
from landscape.curvature.released import released_spectrum
from landscape.curvature.spectrum import spectrum
from landscape.device import choose_device
from landscape.results import Provenance, Record, save
from landscape.subject import Subject
from trainers.checkpoint import weights_sha256
from trainers.data.catalogue import LongTailedData
from trainers.data.images import Redrawn
from trainers.run import RunFolder
from trainers.training import open_run_data, open_subject

Progress = Callable[[str], None]
Memory = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Job:
    """An opened unit: what an analysis works on."""

    subject: Subject
    data: LongTailedData
    config: DiagnoseConfig
    progress: Progress | None
    memory: Memory | None


@dataclass(frozen=True)
class Unit:
    """One analysis of one checkpoint; picklable."""

    run: Path
    checkpoint: str
    analysis: str
    config: DiagnoseConfig

    @property
    def output(self) -> Path:
        """The one file it writes."""
        return RunFolder(self.run).result(self.stored_as, self.checkpoint)

    @property
    def stored_as(self) -> str:
        """Name of the analysis in files: spectra of the released protocol stand apart."""
        released = self.analysis == "spectrum" and self.config.protocol == "saddle"
        return "spectrum-saddle" if released else self.analysis


def run_unit(unit: Unit, progress: Progress | None = None, memory: Memory | None = None) -> Path:
    """Compute a unit and write its file.

    Args:
        unit: what to compute.
        progress: called with the name of each scope as it starts.
        memory: extreme vectors that one checkpoint's spectrum leaves to the next.

    Returns:
        The file written.

    Raises:
        InputError: the run, its data or its checkpoint cannot be used.
    """
    started = time.perf_counter()
    folder, config = RunFolder(unit.run), unit.config
    stored, device = folder.config(), choose_device(config.device)
    data = _data(unit.run, device, config.data_root, config.workers, stored["data_sha256"])
    subject = open_subject(folder, unit.checkpoint, data, device, _logit_scale(unit, folder))
    job = Job(subject, data, config, progress, memory)
    record = ANALYSES[unit.stored_as](job)
    provenance = Provenance(
        analysis=unit.stored_as,
        checkpoint=unit.checkpoint,
        config={
            "run": folder.path.resolve().name,
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
        bn_mode=config.bn,
        loss=subject.loss.name,
        seconds=time.perf_counter() - started,
    )
    save(record, provenance, unit.output)
    return unit.output


@lru_cache(maxsize=1)
def _data(
    run: Path, device: torch.device, root: Path | None, workers: int, _fingerprint: str
) -> LongTailedData:
    return open_run_data(RunFolder(run), device, root, workers)


def _spectrum(job: Job) -> Record:
    config = job.config
    return spectrum(
        job.subject,
        job.subject.scopes(config.scopes, config.split),
        config.spectrum,
        samples_per_class=config.samples_per_class,
        dtype=getattr(torch, config.dtype),
        bn=config.bn,
        batch_size=config.batch_size,
        seed=config.seed,
        progress=job.progress,
        memory=job.memory,
    )


def _spectrum_saddle(job: Job) -> Record:
    device, config = next(job.subject.model.parameters()).device, job.config
    generator = torch.Generator(device).manual_seed(config.seed)
    redrawn = replace(job.subject, data=Redrawn(job.data.train, generator))
    return released_spectrum(redrawn, redrawn.scopes(config.scopes, config.split), config.seed)


def _logit_scale(unit: Unit, folder: RunFolder) -> float | None:
    """The released protocol judges a cosine classifier's plain cosines."""
    cosine = folder.plan().parsed.parts["loss"].head == "cosine"
    if unit.stored_as == "spectrum-saddle" and cosine and unit.config.logit_scale is None:
        return 1.0
    return unit.config.logit_scale


def _accuracy(job: Job) -> Record:
    return accuracy(
        job.subject.model,
        job.data.test,
        job.subject.class_names,
        job.subject.class_counts,
        split=job.config.split,
        dtype=getattr(torch, job.config.dtype),
        bn=job.config.bn,
        batch_size=job.config.batch_size,
    )


ANALYSES: dict[str, Callable[[Job], Record]] = {
    "spectrum": _spectrum,
    "spectrum-saddle": _spectrum_saddle,
    "accuracy": _accuracy,
}
