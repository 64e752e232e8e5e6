"""Compute the loss of every class over a line or a plane of parameters around a model."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landscape.analyses.analysis import Precision, Progress, analysis, precision
from landscape.analyses.surface_grid import (
    empty_surface,
    evaluate_grid,
    grid_steps,
    project,
    with_points,
)
from landscape.config import DiagnoseConfig, SpectrumConfig, SurfaceConfig
from landscape.curvature.operator import CurvatureOperator
from landscape.curvature.operator_spectrum import operator_spectrum, share_memory
from landscape.errors import DataWarning, InputError, Setting
from landscape.groups import SplitName
from landscape.results.surface import Surface
from landscape.subject.evaluation_copy import copied
from landscape.subject.loss import Loss
from landscape.subject.parameters import check_weights
from landscape.subject.state_dict import load_state
from landscape.subject.subject import Selection, Subject
from landscape.subject.weights_file import read_state
from landscape.weight_space.counted import mixture
from landscape.weight_space.directions import (
    Direction,
    Plane,
    hessian_plane,
    plane_through,
    principal_plane,
    random_plane,
)
from landscape.weight_space.evaluator import Evaluator
from landscape.weight_space.filters import filter_layouts
from landscape.weight_space.left_behind import check_left_behind

Options = dict[str, Any]
Weights = nn.Module | Mapping[str, Tensor] | str | Path


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
    return _trainable(model_at(subject, other, name))


def model_at(subject: Subject, other: Weights, name: str) -> nn.Module:
    """Build a subject's model with the weights of another checkpoint, see :func:`weights_at`."""
    path = Path(name)
    if isinstance(other, (str, Path)):
        path = Path(other)
        state: Any = read_state(path)
    else:
        state = other.state_dict() if isinstance(other, nn.Module) else dict(other)
    model = copied(subject.model)
    load_state(model, state, path)
    check_weights(model, f" of '{name}'")
    return model


def _named_checkpoints(settings: SurfaceConfig, arguments: Mapping[str, Any]) -> SurfaceConfig:
    """Store the names of the checkpoints that the plane goes through."""
    through, trajectory = arguments["through"], arguments["trajectory"]
    names = tuple(_named(through)) if settings.directions == "checkpoints" else settings.through
    return replace(settings, through=names, trajectory=bool(trajectory))


@analysis("surface", _named_checkpoints)
def surface(
    subject: Subject,
    settings: SurfaceConfig = DiagnoseConfig.surface,
    *,
    through: Sequence[Weights] | Mapping[str, Weights] = (),
    trajectory: Mapping[int, Weights] | None = None,
    marks: Mapping[str, Weights] | None = None,
    objective: Loss | None = None,
    split: SplitName | None = None,
    samples_per_class: int | None = None,
    dtype: Precision = None,
    batch_size: int = 256,
    seed: int = 0,
    spectrum: SpectrumConfig = DiagnoseConfig.spectrum,
    progress: Progress | None = None,
    partial: Surface | None = None,
    keep: Callable[[Surface], None] | None = None,
) -> Surface:
    """Compute the loss of every class over a line or a plane of parameters around a model.

    Other checkpoints are networks of the same architecture, their state dicts, or files of these.
    The loss w² between w = 1 and w = 3:

    >>> import torch
    >>> from landscape import Subject, TensorData
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> model.weight.data.fill_(1.0)
    tensor([[1.]])
    >>> data = TensorData(torch.ones(2, 1), torch.tensor([0, 0]))
    >>> subject = Subject(model, data, lambda outputs, _: outputs[:, 0] ** 2)
    >>> line = SurfaceConfig("checkpoints", points=3, x=(0, 1))
    >>> surface(subject, line, through=[{"weight": torch.tensor([[3.0]])}]).scope_loss("overall")
    array([[1., 4., 9.]])

    Args:
        subject: model, data and loss; the model is at step 0.
        settings: directions, points and reach; one seed of random directions.
        through: checkpoints of ``directions="checkpoints"``, one or two, at step 1 of a direction
            each; or those whose main directions are taken with ``directions="pca"``, by default the
            trajectory's.
        trajectory: checkpoints by epoch, whose path is projected on the plane.
        marks: checkpoints by name, to be marked on the plane.
        objective: what training descends, stored beside the loss: with its margins and the weights
            of classes in its mean. Default: the subject's own loss where it weighs classes.
        split: rule that defines head, mid and tail.
        samples_per_class: at most so many samples of a class.
        dtype: precision of the model. Default: its own, single precision at least.
        batch_size: samples a forward pass.
        seed: of the draw of samples.
        spectrum: settings of the vectors of ``directions="hessian"``.
        progress: called with the numbers of points done and wanted after each.
        partial: an unfinished surface of the same settings, to go on from.
        keep: called after each point with the surface, whose arrays go on being filled.

    Raises:
        InputError: a value out of range, or checkpoints that do not fit the model or span no plane.
    """
    own = precision(dtype, subject)
    ends, path = _ends(subject, settings, through), _path(subject, trajectory or {})
    _check_directions(settings, bool(ends))
    options: Options = {"dtype": own, "batch_size": batch_size, "objective": objective}
    selection = _selection(subject, settings, samples_per_class, seed)
    evaluator = Evaluator(subject, selection, statistics=settings.statistics, **options)
    evaluator.at([], [])  # a loss at the centre that is no number is found before long work
    if settings.directions == "hessian":
        (scope,) = subject.scopes(settings.scope, split)
        chosen = subject.select(scope, samples_per_class, seed)
        vectors = _extreme_vectors(subject, chosen, spectrum, own, batch_size, seed)
        plane = hessian_plane(evaluator.centre, vectors)
    else:
        plane = _plane(evaluator, settings, list(ends.values()), list(path.values()))
    plane = plane.of(settings.dimensions)
    found = partial or with_points(
        empty_surface(subject, evaluator, plane, *grid_steps(plane, settings), split),
        project(evaluator, plane, path),
        project(evaluator, plane, _weights(subject, marks or {})),
    )
    _check_norms(found, plane)
    found = replace(found, **mixture(subject, selection))
    report = _report(found, progress, keep)
    refining: Options = {"refine": settings.refine, "at_once": settings.at_once}
    return evaluate_grid(found, evaluator, plane, report, **refining)


def _check_directions(settings: SurfaceConfig, has_ends: bool) -> None:
    """Check that directions and checkpoints fit together.

    Raises:
        InputError: they do not, or there is not one seed.
    """
    if len(settings.seeds) != 1:
        raise InputError(f"a surface has one seed, and {len(settings.seeds)} are given")
    if any(not multiple > 1 for multiple in settings.refine):
        raise InputError(
            Setting("surface.refine"),
            f" is {settings.refine}; give multiples of the least loss, above 1",
        )
    if has_ends and settings.directions not in ("checkpoints", "pca"):
        raise InputError(
            Setting("surface.directions"),
            f" are '{settings.directions}' and through names checkpoints; take directions "
            "'checkpoints', or leave through out",
        )


def _selection(
    subject: Subject, settings: SurfaceConfig, samples_per_class: int | None, seed: int
) -> Selection:
    """Choose samples of all classes, in batches that mix them where statistics are recomputed."""
    selection = subject.select_all(samples_per_class, seed)
    return subject.mixed(selection, seed) if settings.statistics == "recomputed" else selection


def _report(
    found: Surface, progress: Progress | None, keep: Callable[[Surface], None] | None
) -> Callable[[int, int], None]:
    def report(done: int, wanted: int) -> None:
        if progress is not None:
            progress(f"{done} of {wanted} points")
        if keep is not None:
            keep(found)

    return report


def _check_norms(found: Surface, plane: Plane) -> None:
    """Check that an unfinished surface lies in a plane.

    Raises:
        InputError: it is over another one.
    """
    if not np.allclose(found.direction_norm, plane.norms, rtol=1e-6):
        raise InputError(
            "the unfinished surface is over other directions than those of now (other "
            "checkpoints, perhaps); ",
            Setting("overwrite", "partial=None"),
            " starts it anew",
        )


def _plane(
    evaluator: Evaluator, settings: SurfaceConfig, ends: list[Direction], path: list[Direction]
) -> Plane:
    """Span the random directions, or those of checkpoints, that settings ask for."""
    centre = evaluator.centre
    if settings.directions == "random":
        generator = torch.Generator().manual_seed(settings.seeds[0])
        return random_plane(
            centre,
            generator,
            count=settings.dimensions,
            kind=settings.normalisation,
            vectors=settings.vectors,
            layouts=filter_layouts(evaluator.model, evaluator.names),
        )
    if settings.directions == "pca":
        return principal_plane(centre, ends or _moved(path, centre))
    if not 1 <= len(ends) <= 2:
        raise InputError(
            f"a surface through checkpoints needs one or two, and there are {len(ends)}; name "
            "them with ",
            Setting("surface.through"),
        )
    return plane_through(centre, ends)


def _extreme_vectors(
    subject: Subject,
    selection: Selection,
    settings: SpectrumConfig,
    dtype: torch.dtype,
    batch_size: int,
    seed: int,
) -> Tensor:
    operator = CurvatureOperator(
        subject,
        selection,
        dtype=dtype,
        batch_size=batch_size,
        memory_budget=settings.memory_budget,
    )
    whole = replace(settings, parameters=("*",), trace_probes=0)
    share_memory(operator, whole)
    if not settings.allow_nondeterministic:
        operator.check_deterministic()
    generator = torch.Generator().manual_seed(seed)
    return operator_spectrum(operator, whole, generator).vectors


def _named(through: Sequence[Weights] | Mapping[str, Weights]) -> dict[str, Weights]:
    if isinstance(through, Mapping):
        return dict(through)
    return {f"checkpoint {k}": other for k, other in enumerate(through, 1)}


def _trainable(model: nn.Module) -> Direction:
    return [p.detach() for p in model.parameters() if p.requires_grad]


def _ends(
    subject: Subject,
    settings: SurfaceConfig,
    through: Sequence[Weights] | Mapping[str, Weights],
) -> dict[str, Direction]:
    """Read the checkpoints that directions lead to; at step 1 of each is its own loss.

    Where BatchNorm's statistics, or singular vectors of spectral norms, stay those of the centre it
    is not, which a warning says.
    """
    found, stay = {}, list[str]()
    for name, other in _named(through).items():
        model = model_at(subject, other, name)
        if settings.directions == "checkpoints":
            stay += check_left_behind(copied(subject.model), model, name)
        found[name] = _trainable(model)
    if stay and settings.statistics == "fixed":
        warnings.warn(
            f"{_kept(stay[0])} ({stay[0]}) differ from those of the checkpoints that "
            "directions lead to, and stay the model's: the surface does not reach the losses of "
            "these; with --surface.statistics recomputed they are those of each point",
            DataWarning,
            stacklevel=3,
        )
    return found


def _kept(buffer: str) -> str:
    of_batchnorm = buffer.endswith(("running_mean", "running_var"))
    return "BatchNorm's running statistics" if of_batchnorm else "spectral norms' singular vectors"


def _weights(subject: Subject, named: Mapping[str, Weights]) -> dict[str, Direction]:
    return {name: weights_at(subject, other, name) for name, other in named.items()}


def _path(subject: Subject, trajectory: Mapping[int, Weights]) -> dict[str, Direction]:
    for epoch in trajectory:
        if not isinstance(epoch, Integral):
            raise InputError(f"{epoch!r} is no epoch; give a trajectory as {{epoch: model}}")
    return {str(e): weights_at(subject, w, f"epoch {e}") for e, w in trajectory.items()}


def _moved(path: Sequence[Direction], centre: Direction) -> list[Direction]:
    """Leave the centre itself out of a trajectory."""
    return [
        weights
        for weights in path
        if any(bool((w.to(c) != c).any()) for w, c in zip(weights, centre, strict=True))
    ]
