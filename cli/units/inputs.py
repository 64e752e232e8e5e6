"""Give analyses the data, checkpoints and files that they work on besides a subject."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from cli.sources.source import CheckpointSource
from cli.units.evaluation import read_evaluation
from landscape.analyses.analysis import Progress
from landscape.analyses.catalogue import differing_settings
from landscape.analyses.kept_spectra import KeptSpectra
from landscape.analyses.stability import TrainingStep
from landscape.config import DiagnoseConfig
from landscape.errors import InputError, Setting
from landscape.results.checkpoint_names import course, number_of, spelled
from landscape.results.load import load
from landscape.results.result import Result
from landscape.results.surface import Surface
from landscape.subject.loss import Loss
from landscape.subject.state_dict import weights_sha256
from landscape.subject.subject import Subject

if TYPE_CHECKING:
    from landscape.subject.data import LabelledData

_KEEP_SECONDS = 5.0
_PAUSE = 20  # times as long as the last writing took: at most a twentieth of the time goes into it


@dataclass(frozen=True)
class Handover:
    """What a unit leaves to those that follow it in the same process."""

    warm_start_vectors: dict[str, Tensor] = field(default_factory=dict)  # by scope
    kept_spectra: dict[tuple[Path, str], KeptSpectra] = field(default_factory=dict)

    def spectra_of(self, run: Path, checkpoint: str, leading: int) -> KeptSpectra:
        """Find the spectra of a checkpoint; those of others are dropped, they take memory."""
        if (run, checkpoint) not in self.kept_spectra:
            self.kept_spectra.clear()
            self.kept_spectra[run, checkpoint] = KeptSpectra(leading)
        return self.kept_spectra[run, checkpoint]


class PartialWriter:
    """Write a record; unfinished ones every few seconds, so that a kill loses little.

    A surface of thousands of classes takes hundreds of megabytes; it is written less often.

    Args:
        path: of the result file.
        config: all settings of the diagnosis, which the file holds.
        writes: false in a process that only takes its share of the samples.
        judged: which data are, where an analysis takes others than the training's.
    """

    def __init__(
        self, path: Path, config: DiagnoseConfig, *, writes: bool = True, judged: str = ""
    ) -> None:
        self._path, self._config, self._writes = path, config, writes
        self._judged = {"judged": judged} if judged else {}
        self._started = time.perf_counter()
        self._due = self._started + _KEEP_SECONDS

    def write(self, record: Result) -> None:
        """Write a record as it is."""
        assert record.provenance is not None
        told = {"diagnose": self._config.plain(), **self._judged}
        config = record.provenance.config | told
        seconds = time.perf_counter() - self._started
        origin = replace(record.provenance, config=config, seed=self._config.seed, seconds=seconds)
        record.with_provenance(origin).save(self._path)

    def keep(self, record: Result) -> None:
        """Write an unfinished record, unless one was written a moment ago."""
        began = time.perf_counter()
        if self._writes and began > self._due:
            self.write(record)
            ended = time.perf_counter()
            self._due = ended + max(_KEEP_SECONDS, _PAUSE * (ended - began))


@dataclass(frozen=True)
class OpenedUnit:
    """An opened unit: its source, settings and subject."""

    subject: Subject
    source: CheckpointSource
    checkpoint: str
    config: DiagnoseConfig
    settings: Any  # those of its analysis
    output: Path
    writer: PartialWriter
    progress: Progress | None
    run: Path
    shares_spectra: bool
    handover: Handover


def _progress(unit: OpenedUnit) -> Progress | None:
    return unit.progress


def _warm_start_vectors(unit: OpenedUnit) -> dict[str, Tensor]:
    return unit.handover.warm_start_vectors


def _kept_spectra(unit: OpenedUnit) -> KeptSpectra | None:
    """Share spectra where several analyses of the diagnosis need them."""
    if not unit.shares_spectra:
        return None
    leading = unit.config.spikes.vectors or unit.subject.num_classes
    asked = "spikes" in unit.config.analyses
    return unit.handover.spectra_of(unit.run, unit.checkpoint, leading if asked else 0)


def judged_data(source: CheckpointSource, config: DiagnoseConfig, settings: Any) -> str:
    """Name the data judged: test, training, or the other images that settings name."""
    if config.eval:
        return read_evaluation(config.eval[0]).name
    chosen = getattr(settings, "data", "test")
    return "test" if chosen == "test" and source.test is not source.train else "training"


def _data(unit: OpenedUnit) -> "LabelledData":
    """Choose the data judged: the test set unless settings say otherwise."""
    if unit.config.eval:
        asked = read_evaluation(unit.config.eval[0])
        if asked.kind == "folder":
            return unit.source.other(asked.path, known=True)
    chosen = getattr(unit.settings, "data", "test")
    return unit.source.test if chosen == "test" else unit.source.train


def _unknown(unit: OpenedUnit) -> "LabelledData | None":
    """Open the images of unknown classes, where they are asked for."""
    asked = read_evaluation(unit.config.eval[0]) if unit.config.eval else None
    if asked is None or asked.kind != "open":
        return None
    return unit.source.other(asked.path, known=False)


def _augmented(unit: OpenedUnit) -> "LabelledData":
    return unit.source.redrawn(unit.config.seed)


def _direction(unit: OpenedUnit) -> Any:
    return unit.source.rule_direction(unit.checkpoint) if unit.settings.direction else None


def _against(unit: OpenedUnit) -> Mapping[str, nn.Module] | None:
    if unit.settings.against is None:
        return None
    name = spelled(unit.settings.against, unit.source.checkpoint_names())
    device = next(unit.subject.model.parameters()).device
    return {name: unit.source.load_other(name).to(device)}


def _through(unit: OpenedUnit) -> Mapping[str, nn.Module]:
    """Load the checkpoints that span the plane: those named, or all others of the training."""
    if unit.settings.directions == "pca":
        names = [n for n in unit.source.checkpoint_names() if n != unit.checkpoint]
        return {n: unit.source.model(n) for n in names}
    if unit.settings.directions == "checkpoints":
        return {n: unit.source.load_other(n) for n in unit.settings.through}
    return {}


def _to(unit: OpenedUnit) -> Mapping[str, nn.Module]:
    """Load the other end of a path.

    Raises:
        InputError: none is named.
    """
    if unit.settings.to is None:
        raise InputError(
            "a path needs its other end; name it with ",
            *(Setting("path.to"), " NAME, such as best, 50, RUN:NAME or RUN"),
        )
    device = next(unit.subject.model.parameters()).device
    return {unit.settings.to: unit.source.load_other(unit.settings.to).to(device)}


def _trained(unit: OpenedUnit) -> TrainingStep | None:
    return unit.source.training_step(unit.checkpoint)


def _following(unit: OpenedUnit) -> Mapping[str, nn.Module]:
    """Load the checkpoint that training reached next, if it was kept."""
    names = [n for n in unit.source.checkpoint_names() if n[-1:].isdigit()]
    later = names[names.index(unit.checkpoint) + 1 :] if unit.checkpoint in names else []
    return {name: unit.source.model(name) for name in later[:1]}


def _trajectory(unit: OpenedUnit) -> Mapping[int, nn.Module]:
    """Load the source's own checkpoints, by their epoch or step."""
    saved = course(unit.source.checkpoint_names()) if unit.settings.trajectory else []
    return {number_of(name): unit.source.model(name) for name in saved}


def _objective(unit: OpenedUnit) -> Loss | None:
    return unit.source.trained_loss(unit.checkpoint)


def _marks(unit: OpenedUnit) -> Mapping[str, nn.Module]:
    """Load the checkpoints to be marked, by the names of their folders or files."""
    marks = unit.settings.marks
    return {path.resolve().name: unit.source.load_other(str(path)) for path in marks}


def _partial(unit: OpenedUnit) -> Surface | None:
    """Read the surface that an interrupted diagnosis left.

    Raises:
        InputError: it was computed with other settings or weights.
    """
    if unit.config.overwrite or not unit.output.is_file():
        return None
    found = load(unit.output, Surface)
    if found.complete:
        return None
    assert found.provenance is not None
    before = found.provenance.config["diagnose"]
    other = found.provenance.weights_sha256 != weights_sha256(unit.subject.model)
    if other or differing_settings("surface", before, unit.config.plain()):
        raise InputError(
            f"'{unit.output}' is an unfinished surface of other settings or weights; ",
            Setting("overwrite"),
            " starts it anew",
        )
    return found


def _keep(unit: OpenedUnit) -> Callable[[Result], None]:
    return unit.writer.keep


# by the keyword of an analysis's function
INPUTS: dict[str, Callable[[OpenedUnit], Any]] = {
    "progress": _progress,
    "warm_start_vectors": _warm_start_vectors,
    "kept_spectra": _kept_spectra,
    "data": _data,
    "unknown": _unknown,
    "augmented": _augmented,
    "direction": _direction,
    "against": _against,
    "through": _through,
    "to": _to,
    "trained": _trained,
    "following": _following,
    "trajectory": _trajectory,
    "marks": _marks,
    "objective": _objective,
    "partial": _partial,
    "keep": _keep,
}
