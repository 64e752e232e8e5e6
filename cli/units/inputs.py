"""The analyses: from an opened checkpoint to a result record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from cli.sources.source import CheckpointSource, checkpoint_name
from landscape.analyses.accuracy import compute_accuracy
from landscape.analyses.features import Penultimate, feature_record, penultimate_features
from landscape.analyses.gradients import batch_gradients, compute_gradients
from landscape.analyses.sharpness import compute_sharpness
from landscape.analyses.similarity import compute_similarity, paired_similarity
from landscape.analyses.similarity_measures import MEASURES
from landscape.analyses.spectrum import compute_spectrum
from landscape.analyses.spectrum_saddle import released_spectrum
from landscape.analyses.surface import (
    empty_surface,
    evaluate_grid,
    evaluator_of,
    grid_of,
    plane_of,
    project,
    with_paths,
)
from landscape.config import DiagnoseConfig
from landscape.errors import InputError, unknown
from landscape.results.load import Record
from landscape.results.surface import Surface
from landscape.subject.data import LabelledData
from landscape.subject.evaluation_copy import evaluation_copy
from landscape.subject.subject import Selection, Subject, asked_scopes
from landscape.weight_space.directions import Direction

Memory = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Job:
    """An opened unit: what an analysis works on."""

    subject: Subject
    source: CheckpointSource
    checkpoint: str
    config: DiagnoseConfig
    progress: Callable[[str], None] | None
    memory: Memory | None
    partial: Surface | None  # what an interrupted surface left
    keep: Callable[[Record], None]  # writes an unfinished record

    @property
    def dtype(self) -> torch.dtype:
        """Precision asked for."""
        found: torch.dtype = getattr(torch, self.config.dtype)
        return found

    def everything(self) -> Selection:
        """Samples of all classes that have any, class by class."""
        present = self.subject.data.labels.unique().tolist()
        scopes = self.subject.scopes(tuple(f"class/{c}" for c in present), self.config.split)
        whole = replace(scopes[0], name="overall", classes=tuple(present))
        return self.subject.select(whole, self.config.samples_per_class, self.config.seed)


def spectrum_record(job: Job) -> Record:
    """Hessian spectra of the scopes."""
    config = job.config
    return compute_spectrum(
        job.subject,
        asked_scopes(job.subject, config.scopes, config.split),
        config.spectrum,
        samples_per_class=config.samples_per_class,
        dtype=job.dtype,
        bn=config.bn,
        batch_size=config.batch_size,
        seed=config.seed,
        progress=job.progress,
        memory=job.memory,
    )


def released_record(job: Job) -> Record:
    """The released Saddle-LongTail analysis."""
    config = job.config
    redrawn = replace(job.subject, data=job.source.redrawn(config.seed))
    return released_spectrum(
        redrawn,
        asked_scopes(redrawn, config.scopes, config.split),
        config.seed,
        samples_per_class=config.samples_per_class,
        dtype=job.dtype,
    )


def accuracy_record(job: Job) -> Record:
    """Accuracy on the test set."""
    return compute_accuracy(
        job.subject.model,
        job.source.test,
        job.subject.class_names,
        job.subject.class_counts,
        split=job.config.split,
        dtype=job.dtype,
        bn=job.config.bn,
        batch_size=job.config.batch_size,
    )


def surface_record(job: Job) -> Record:
    """Loss surface of every class."""
    config = job.config
    evaluator = evaluator_of(job.subject, job.everything(), config)
    plane = plane_of(job.subject, evaluator, config, others_of(job))
    surface = job.partial
    if surface is not None and not np.allclose(surface.direction_norm, plane.norms, rtol=1e-6):
        raise InputError(
            f"the unfinished surface of '{job.checkpoint}' is over other directions than those of "
            "now (other checkpoints, perhaps); --overwrite starts it anew"
        )
    if surface is None:
        x, y = grid_of(plane, config)
        surface = with_paths(
            empty_surface(job.subject, evaluator, plane, x, y, config.split),
            project(evaluator, plane, trajectory_of(job)),
            project(evaluator, plane, marks_of(job)),
        )
    started = surface

    def report(done: int, total: int) -> None:
        if job.progress is not None:
            job.progress(f"{done} of {total} points")
        job.keep(started)

    return evaluate_grid(started, evaluator, plane, report)


def gradients_record(job: Job) -> Record:
    """Class gradients, of all data or of mini-batches."""
    config, settings = job.config, job.config.gradients
    if settings.batches == 0:
        return compute_gradients(
            job.subject,
            job.everything(),
            parameters=settings.parameters,
            dtype=job.dtype,
            batch_size=config.batch_size,
        )
    follow = job.source.rule_direction(job.checkpoint) if settings.direction else None
    return batch_gradients(
        job.subject,
        settings.batches,
        mode="batch" if settings.mode == "train" else "eval",
        batch_size=job.source.batch_size or config.batch_size,
        seed=config.seed,
        dtype=job.dtype,
        follow=follow,
    )


def features_record(job: Job) -> Record:
    """Quality and collapse of penultimate features."""
    settings = job.config.features
    seen = _penultimate(job, job.subject, settings.data)
    return feature_record(
        seen.features,
        seen.labels,
        job.subject.class_names,
        job.subject.class_counts,
        weight=seen.weight,
        predicted=seen.predicted,
        variance_weight=settings.variance_weight,
        embedded=settings.embedding,
        seed=job.config.seed,
        split=job.config.split,
    )


def similarity_record(job: Job) -> Record:
    """Similarity of classes' representations."""
    settings = job.config.similarity
    for name in settings.measures:
        if name not in MEASURES:
            raise unknown("measure", name, MEASURES)
    seen = _penultimate(job, job.subject, settings.data)
    names, counts = job.subject.class_names, job.subject.class_counts
    if settings.against is None:
        return compute_similarity(
            seen.features,
            seen.labels,
            names,
            counts,
            measures=settings.measures,
            components=settings.components,
            draws=settings.draws,
            seed=job.config.seed,
            split=job.config.split,
        )
    name = checkpoint_name(settings.against)
    device = next(job.subject.model.parameters()).device
    other = replace(job.subject, model=job.source.load_other(name).to(device))
    return paired_similarity(
        seen.features,
        _penultimate(job, other, settings.data).features,
        seen.labels,
        names,
        counts,
        name,
        measures=settings.measures,
        components=settings.components,
        seed=job.config.seed,
    )


def sharpness_record(job: Job) -> Record:
    """Loss under noise and ascent."""
    config, settings = job.config, job.config.sharpness
    return compute_sharpness(
        job.subject,
        job.everything(),
        asked_scopes(job.subject, config.scopes, config.split),
        ratios=settings.ratios,
        draws=settings.draws,
        perturbed=settings.perturbed,
        radius=settings.radius,
        steps=settings.steps,
        seed=config.seed,
        dtype=job.dtype,
        batch_size=config.batch_size,
        progress=job.progress,
    )


def others_of(job: Job) -> list[Direction]:
    """Read the checkpoints that span the plane of a surface.

    Args:
        job: the opened checkpoint.

    Raises:
        InputError: checkpoints that are missing, or of another architecture.
    """
    settings = job.config.surface
    if settings.directions == "pca":
        names = [n for n in job.source.checkpoint_names() if n != job.checkpoint]
        return [_weights(job, job.source.model(n), n) for n in names]
    if settings.directions == "checkpoints":
        if not 1 <= len(settings.through) <= 2:
            raise InputError("--surface.directions checkpoints needs one or two --surface.through")
        return [_weights(job, job.source.load_other(n), n) for n in settings.through]
    return []


def trajectory_of(job: Job) -> Mapping[str, Direction]:
    """Read the source's own checkpoints, by their epoch."""
    saved = job.source.checkpoint_names() if job.config.surface.trajectory else []
    epochs = {str(int(n[6:])): n for n in saved if n.startswith("epoch_") and n[6:].isdigit()}
    return {e: _weights(job, job.source.model(n), n) for e, n in epochs.items()}


def marks_of(job: Job) -> Mapping[str, Direction]:
    """Read the checkpoints to be marked, by the names of their folders or files."""
    return {
        path.resolve().name: _weights(job, job.source.load_other(str(path)), str(path))
        for path in job.config.surface.marks
    }


ANALYSES: dict[str, Callable[[Job], Record]] = {
    "spectrum": spectrum_record,
    "spectrum-saddle": released_record,
    "accuracy": accuracy_record,
    "surface": surface_record,
    "gradients": gradients_record,
    "features": features_record,
    "similarity": similarity_record,
    "sharpness": sharpness_record,
}


def _penultimate(job: Job, subject: Subject, which: str) -> Penultimate:
    data: LabelledData = job.source.test if which == "test" else job.source.train
    model = evaluation_copy(subject.model, job.dtype)
    return penultimate_features(model, subject.classifier_name(), data)


def _weights(job: Job, model: nn.Module, name: str) -> Direction:
    """Trainable parameters of a model, which has to be of the same architecture."""
    own = dict(job.subject.model.named_parameters())
    found = dict(model.named_parameters())
    if {n: p.shape for n, p in own.items()} != {n: p.shape for n, p in found.items()}:
        raise InputError(f"'{name}' is of another architecture than '{job.checkpoint}'")
    return [found[name].detach() for name, p in own.items() if p.requires_grad]
