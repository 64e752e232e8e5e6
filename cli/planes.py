"""Checkpoints that a run's surface goes through, and those it shows."""

from collections.abc import Mapping
from typing import Protocol

from torch import nn

from cli.sources.source import Source
from landscape.config import DiagnoseConfig
from landscape.errors import InputError
from landscape.subject.subject import Subject
from landscape.weight_space.directions import Direction


class Opened(Protocol):
    """What of an opened checkpoint a plane needs."""

    @property
    def subject(self) -> Subject: ...  # noqa: D102
    @property
    def source(self) -> Source: ...  # noqa: D102
    @property
    def checkpoint(self) -> str: ...  # noqa: D102
    @property
    def config(self) -> DiagnoseConfig: ...  # noqa: D102


def others_of(job: Opened) -> list[Direction]:
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
        return [_weights(job, job.source.elsewhere(n), n) for n in settings.through]
    return []


def trajectory_of(job: Opened) -> Mapping[str, Direction]:
    """Read the source's own checkpoints, by their epoch."""
    saved = job.source.checkpoint_names() if job.config.surface.trajectory else []
    epochs = {str(int(n[6:])): n for n in saved if n.startswith("epoch_") and n[6:].isdigit()}
    return {e: _weights(job, job.source.model(n), n) for e, n in epochs.items()}


def marks_of(job: Opened) -> Mapping[str, Direction]:
    """Read the checkpoints to be marked, by the names of their folders or files."""
    return {
        path.resolve().name: _weights(job, job.source.elsewhere(str(path)), str(path))
        for path in job.config.surface.marks
    }


def _weights(job: Opened, model: nn.Module, name: str) -> Direction:
    """Trainable parameters of a model, which has to be of the same architecture."""
    own = dict(job.subject.model.named_parameters())
    found = dict(model.named_parameters())
    if {n: p.shape for n, p in own.items()} != {n: p.shape for n, p in found.items()}:
        raise InputError(f"'{name}' is of another architecture than '{job.checkpoint}'")
    return [found[name].detach() for name, p in own.items() if p.requires_grad]
