"""The plane of a surface, from its settings and the other checkpoints it goes through."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landscape.analyses.surface import Array, Path, steps_of
from landscape.config import DiagnoseConfig
from landscape.curvature.operator import CurvatureOperator
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.errors import InputError
from landscape.subject.state_dict import load_state, read_state
from landscape.subject.subject import Selection, Subject
from landscape.weight_space.directions import (
    Direction,
    Plane,
    hessian_plane,
    plane_through,
    principal_plane,
    random_plane,
)
from landscape.weight_space.evaluator import Evaluator
from landscape.weight_space.projection import projected

Weights = nn.Module | Mapping[str, Tensor] | str | FilePath


def evaluator_of(subject: Subject, selection: Selection, config: DiagnoseConfig) -> Evaluator:
    """Prepare to judge a subject over a surface.

    Args:
        subject: its centre.
        selection: samples judged.
        config: with the surface's settings.
    """
    statistics = config.surface.statistics
    if statistics == "recomputed":  # of batches that mix the classes
        selection = subject.mixed(selection, config.seed)
    return Evaluator(
        subject,
        selection,
        statistics=statistics,
        dtype=getattr(torch, config.dtype),
        batch_size=config.batch_size,
    )


def plane_of(
    subject: Subject,
    evaluator: Evaluator,
    config: DiagnoseConfig,
    others: Sequence[Direction] = (),
) -> Plane:
    """Span the directions asked for.

    Args:
        subject: whose Hessian's extreme vectors may be taken.
        evaluator: whose centre the directions start from.
        config: with the settings of the surface and of the spectrum.
        others: weights of the checkpoints it goes through, or of the trajectory's other points.

    Raises:
        InputError: checkpoints that are too few or too many, or span no plane.
    """
    settings, centre = config.surface, evaluator.centre
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
        plane = principal_plane(centre, others)
    elif settings.directions == "hessian":
        plane = hessian_plane(centre, _extreme_vectors(subject, config))
    else:
        if not 1 <= len(others) <= 2:
            raise InputError(
                f"a surface through checkpoints needs one or two, and there are {len(others)}"
            )
        plane = plane_through(centre, others)
    if settings.dimensions == 1:
        return Plane(plane.directions[:1], plane.kind[:1], plane.normalisation, plane.explained[:1])
    return plane


def grid_of(plane: Plane, config: DiagnoseConfig) -> tuple[Array, Array]:
    """Give the steps along both directions, (X,) and (Y,); a single 0 along one that is not."""
    settings = config.surface
    x = steps_of(settings.x, settings.points)
    if len(plane.directions) == 1:
        return x, np.zeros(1)
    return x, steps_of(settings.y, settings.points_y or settings.points)


def seen_from(evaluator: Evaluator, plane: Plane, named: Mapping[str, Direction]) -> Path:
    """Project checkpoints on a plane.

    Args:
        evaluator: whose centre is at (0, 0).
        plane: one or two directions.
        named: weights by name.
    """
    coordinates, distances = projected(plane, evaluator.centre, named.values())
    return Path(tuple(named), coordinates, distances)


def weights_at(subject: Subject, other: Weights, name: str) -> Direction:
    """Read the trainable parameters of another checkpoint of a subject's model.

    Args:
        subject: whose model it is.
        other: a network of the same architecture, its state dict, or a file of one.
        name: of the checkpoint, for messages.

    Returns:
        One tensor a trainable parameter of the subject's model, in its order.

    Raises:
        InputError: it does not fit the model.
    """
    path = FilePath(name)
    if isinstance(other, (str, FilePath)):
        path = FilePath(other)
        state: Any = read_state(path)
    else:
        state = other.state_dict() if isinstance(other, nn.Module) else dict(other)
    model = copy.deepcopy(subject.model)
    load_state(model, state, path)
    return [p.detach() for p in model.parameters() if p.requires_grad]


def _extreme_vectors(subject: Subject, config: DiagnoseConfig) -> Tensor:
    (scope,) = subject.scopes((config.surface.scope,), config.split)
    selection = subject.select(scope, config.samples_per_class, config.seed)
    settings = replace(config.spectrum, parameters=("*",), trace_probes=0)
    operator = CurvatureOperator(
        subject,
        selection,
        dtype=getattr(torch, config.dtype),
        batch_size=config.batch_size,
        memory_budget=settings.memory_budget,
    )
    generator = torch.Generator().manual_seed(config.seed)
    return operator_spectrum(operator, settings, generator).vectors
