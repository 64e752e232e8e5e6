"""The Python interface to loss surfaces."""

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from landscape.analyses.analysis import Call, Progress, by_keyword
from landscape.analyses.surface import empty_surface, filled, with_paths
from landscape.errors import InputError
from landscape.results.load import Surface
from landscape.subject.subject import Subject
from landscape.surfaces.planes import (
    Weights,
    evaluator_of,
    grid_of,
    plane_of,
    seen_from,
    weights_at,
)
from landscape.weight_space.directions import Direction


@by_keyword
def surface(
    subject: Subject,
    *,
    through: Sequence[Weights] | Mapping[str, Weights] = (),
    trajectory: Mapping[int, Weights] | None = None,
    marks: Mapping[str, Weights] | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Surface:
    """Judge every class over a line or a plane of parameters around a model.

    Other checkpoints are networks of the same architecture, their state dicts, or files of these.

    Args:
        subject: model, data and loss; the model is at step 0.
        through: one or two checkpoints that lie at step 1 of a direction each.
        trajectory: checkpoints by epoch: their main directions with ``directions="pca"``, and their
            path over the plane in any case.
        marks: checkpoints by name, to be marked on the plane.
        progress: called with the numbers of points done and wanted after each.
        settings: ``split``, ``samples_per_class``, those of every analysis, and those of
            :class:`landscape.config.SurfaceConfig`, such as ``directions``, ``points``, ``x``,
            ``y``, ``dimensions`` and ``statistics``; ``seed`` is that of random directions.

    Raises:
        InputError: an unknown keyword, or checkpoints that do not fit the model or span no plane.
    """
    named = _named(through)
    if named:
        settings = {"directions": "checkpoints", **settings}
    own = {"through": tuple(named), "seeds": (settings.get("seed", 0),)}
    call = Call.of("surface", subject, settings, trajectory=bool(trajectory), **own)
    config, chosen = call.config, call.config.surface.directions
    if named and chosen != "checkpoints":
        raise InputError(
            f"directions are '{chosen}' and through names checkpoints; leave one of them out"
        )
    evaluator = evaluator_of(subject, call.everything(), config)
    path, ends = _path(subject, trajectory or {}), _weights(subject, named)
    others = _moved(path, evaluator.centre) if chosen == "pca" else list(ends.values())
    plane = plane_of(subject, evaluator, config, others)
    found = with_paths(
        empty_surface(subject, evaluator, plane, *grid_of(plane, config), config.split),
        seen_from(evaluator, plane, path),
        seen_from(evaluator, plane, _weights(subject, marks or {})),
    )

    def report(done: int, wanted: int) -> None:
        if progress is not None:
            progress(f"{done} of {wanted} points")

    recomputed = config.surface.statistics == "recomputed"
    found = filled(found, evaluator, plane, report)
    return call.finish(found, "recomputed" if recomputed else "eval")


def _named(through: Sequence[Weights] | Mapping[str, Weights]) -> dict[str, Weights]:
    if isinstance(through, Mapping):
        return dict(through)
    return {f"checkpoint {k}": other for k, other in enumerate(through, 1)}


def _weights(subject: Subject, named: Mapping[str, Weights]) -> dict[str, Direction]:
    return {name: weights_at(subject, other, name) for name, other in named.items()}


def _path(subject: Subject, trajectory: Mapping[int, Weights]) -> dict[str, Direction]:
    for epoch in trajectory:
        if not isinstance(epoch, Integral):
            raise InputError(f"{epoch!r} is no epoch; give a trajectory as {{epoch: model}}")
    return {str(e): weights_at(subject, w, f"epoch {e}") for e, w in trajectory.items()}


def _moved(path: Mapping[str, Direction], centre: Direction) -> list[Direction]:
    """Leave the centre itself out of a trajectory."""
    return [
        weights
        for weights in path.values()
        if any(bool((w.to(c) != c).any()) for w, c in zip(weights, centre, strict=True))
    ]
