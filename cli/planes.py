"""Planes of a surface, from a run's settings and checkpoints."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor, nn

from cli.sources import Source
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
        names = [n for n in job.source.checkpoint_names() if n != job.checkpoint]
        plane = principal_plane(centre, [_weights(job, job.source.model(n), n) for n in names])
    elif settings.directions == "hessian":
        plane = hessian_plane(centre, _extreme_vectors(job, settings.scope))
    else:
        if not 1 <= len(settings.through) <= 2:
            raise InputError("--surface.directions checkpoints needs one or two --surface.through")
        through = [_weights(job, job.source.elsewhere(n), n) for n in settings.through]
        plane = plane_through(centre, through)
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
    """Project the source's own checkpoints, and those to be marked."""
    saved = job.source.checkpoint_names() if settings.trajectory else []
    epochs = {str(int(n[6:])): n for n in saved if n.startswith("epoch_") and n[6:].isdigit()}
    trajectory = [(e, _weights(job, job.source.model(n), n)) for e, n in epochs.items()]
    marks = list(_marks(job, settings))
    return _path(evaluator, plane, trajectory), _path(evaluator, plane, marks)


def _path(evaluator: Evaluator, plane: Plane, named: list[tuple[str, list[Tensor]]]) -> Path:
    coordinates, distances = projected(plane, evaluator.centre, (w for _, w in named))
    return Path(tuple(name for name, _ in named), coordinates, distances)


def _marks(job: Opened, settings: SurfaceConfig) -> Iterator[tuple[str, list[Tensor]]]:
    for path in settings.marks:
        yield path.resolve().name, _weights(job, job.source.elsewhere(str(path)), str(path))


def _weights(job: Opened, model: nn.Module, name: str) -> list[Tensor]:
    """Trainable parameters of a model, which has to be of the same architecture."""
    own = dict(job.subject.model.named_parameters())
    found = dict(model.named_parameters())
    if {n: p.shape for n, p in own.items()} != {n: p.shape for n, p in found.items()}:
        raise InputError(f"'{name}' is of another architecture than '{job.checkpoint}'")
    return [found[name].detach() for name, p in own.items() if p.requires_grad]
