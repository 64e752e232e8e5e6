"""Planes of a surface, from a run's settings and checkpoints."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Protocol

import torch
from torch import Tensor

from landscape.config import DiagnoseConfig, SurfaceConfig
from landscape.curvature.operator import CurvatureOperator
from landscape.curvature.spectrum import operator_spectrum
from landscape.errors import InputError
from landscape.evaluator import Evaluator
from landscape.subject import Subject
from landscape.surfaces.directions import (
    Plane,
    hessian_plane,
    plane_through,
    principal_plane,
    random_plane,
)
from landscape.surfaces.grid import Path
from landscape.surfaces.trajectory import projected
from trainers.data.catalogue import LongTailedData
from trainers.run import RunFolder
from trainers.training import load_model


class Opened(Protocol):
    """What of an opened checkpoint a plane needs."""

    @property
    def subject(self) -> Subject: ...  # noqa: D102
    @property
    def data(self) -> LongTailedData: ...  # noqa: D102
    @property
    def folder(self) -> RunFolder: ...  # noqa: D102
    @property
    def checkpoint(self) -> str: ...  # noqa: D102
    @property
    def config(self) -> DiagnoseConfig: ...  # noqa: D102
    @property
    def dtype(self) -> torch.dtype: ...  # noqa: D102


def plane_of(job: Opened, settings: SurfaceConfig, evaluator: Evaluator) -> Plane:
    """Span the directions asked for.

    Args:
        job: the opened checkpoint.
        settings: of the surface.
        evaluator: whose centre they start from.

    Raises:
        InputError: checkpoints that are missing or span no plane.
    """
    centre = evaluator.centre
    if settings.directions == "random":
        generator = torch.Generator().manual_seed(settings.seeds[0])
        return random_plane(
            centre,
            generator,
            count=settings.dimensions,
            kind=settings.normalisation,
            vectors=settings.vectors,
        )
    if settings.directions == "pca":
        names = [n for n in job.folder.checkpoint_names() if n != job.checkpoint]
        plane = principal_plane(centre, [_weights(job, job.folder, n) for n in names])
    elif settings.directions == "hessian":
        plane = hessian_plane(centre, _extreme_vectors(job, settings.scope))
    else:
        if not 1 <= len(settings.through) <= 2:
            raise InputError("--surface.directions checkpoints needs one or two --surface.through")
        plane = plane_through(centre, [_through(job, name) for name in settings.through])
    if settings.dimensions == 1:
        return Plane(plane.directions[:1], plane.kind[:1], plane.normalisation, plane.explained[:1])
    return plane


def _extreme_vectors(job: Opened, scope: str) -> Tensor:
    (chosen,) = job.subject.scopes((scope,), job.config.split)
    selection = job.subject.select(chosen, job.config.samples_per_class, job.config.seed)
    settings = replace(job.config.spectrum, parameters=("*",), trace_probes=2)
    operator = CurvatureOperator(
        job.subject,
        selection,
        dtype=job.dtype,
        batch_size=job.config.batch_size,
        memory_budget=settings.memory_budget,
    )
    generator = torch.Generator().manual_seed(job.config.seed)
    return operator_spectrum(operator, settings, generator).vectors


def paths_of(
    job: Opened, settings: SurfaceConfig, evaluator: Evaluator, plane: Plane
) -> tuple[Path, Path]:
    """Project the run's own checkpoints, and the last ones of the runs to be marked."""
    own = job.folder.checkpoint_names() if settings.trajectory else []
    trajectory = [(_epoch(n), _weights(job, job.folder, n)) for n in own]
    marks = list(_marks(job, settings))
    return _path(evaluator, plane, trajectory), _path(evaluator, plane, marks)


def _path(evaluator: Evaluator, plane: Plane, named: list[tuple[str, list[Tensor]]]) -> Path:
    coordinates, distances = projected(plane, evaluator.centre, (w for _, w in named))
    return Path(tuple(name for name, _ in named), coordinates, distances)


def _marks(job: Opened, settings: SurfaceConfig) -> Iterator[tuple[str, list[Tensor]]]:
    for path in settings.marks:
        folder = RunFolder(path)
        names = folder.checkpoint_names()
        if not names:
            raise InputError(f"'{path}' has no checkpoint to mark; run 'tailscape train' on it")
        yield path.resolve().name, _weights(job, folder, names[-1])


def _through(job: Opened, name: str) -> list[Tensor]:
    run, colon, checkpoint = name.rpartition(":")
    folder = RunFolder(FilePath(run)) if colon else job.folder
    return _weights(job, folder, checkpoint_name(checkpoint))


def _weights(job: Opened, folder: RunFolder, checkpoint: str) -> list[Tensor]:
    """Trainable parameters of a checkpoint, which has to be of the same architecture."""
    model = load_model(folder, checkpoint, job.data)
    model.contrast = None  # no part of the network judged
    own = dict(job.subject.model.named_parameters())
    found = dict(model.named_parameters())
    if {n: p.shape for n, p in own.items()} != {n: p.shape for n, p in found.items()}:
        raise InputError(f"'{folder.path}' is of another architecture than '{job.folder.path}'")
    return [found[name].detach() for name, p in own.items() if p.requires_grad]


def checkpoint_name(word: str) -> str:
    """Spell a checkpoint's name out: 50 is epoch_0050."""
    return f"epoch_{int(word):04d}" if word.isdigit() else word


def _epoch(name: str) -> str:
    return str(int(name.removeprefix("epoch_")))
