r"""Construct directions in parameter space (Li et al. 2018, Sec. 4).

A random direction is scaled filter by filter to the norm of the weights it is added to, which takes
the scale invariance of networks out of the picture; :mod:`landscape.weight_space.filters` tells
what a filter is. Vectors (biases, BatchNorm) are left at zero unless included, and then scaled as
one. A second direction is made orthogonal to the first before it is scaled; the cosine that is left
is stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from landscape.curvature.norms import norm
from landscape.errors import InputError, Setting
from landscape.weight_space.filters import Layout, by_filter, from_filters, layout_of

Normalisation = Literal["filter", "layer", "none"]
Direction = list[Tensor]  # one tensor a parameter


@dataclass(frozen=True)
class Plane:
    """One or two directions from a centre, with their kinds and scales."""

    directions: list[Direction]
    kind: tuple[str, ...]  # of each: random, to another checkpoint, pca, hessian
    normalisation: Normalisation
    explained: tuple[float, ...]  # share of the trajectory's variance, NaN unless pca

    def of(self, dimensions: int) -> "Plane":
        """Keep the first direction alone, or all."""
        if dimensions >= len(self.directions):
            return self
        return Plane(self.directions[:1], self.kind[:1], self.normalisation, self.explained[:1])

    @property
    def norms(self) -> list[float]:
        """Euclidean length of a step of 1 along each."""
        return [float(_inner(d, d)) ** 0.5 for d in self.directions]

    @property
    def cosine(self) -> float:
        """Cosine of the angle between the two; NaN for one."""
        if len(self.directions) == 1:
            return float("nan")
        one, other = self.directions
        return float(_inner(one, other)) / (self.norms[0] * self.norms[1])


def normalised(
    direction: Sequence[Tensor],
    weights: Sequence[Tensor],
    kind: Normalisation = "filter",
    *,
    vectors: bool = False,
    layouts: Sequence[Layout] | None = None,
) -> Direction:
    """Scale a direction to its weights.

    Args:
        direction: one tensor a parameter.
        weights: likewise.
        kind: by ``filter``, by ``layer`` (whole tensor), or ``none``.
        vectors: include biases and BatchNorm; they are zero otherwise.
        layouts: where the filters of each parameter lie. Default: told from its shape.
    """
    layouts = layouts or [layout_of(w) for w in weights]
    return [
        _scaled(d, w, layout, kind, vectors)
        for d, w, layout in zip(direction, weights, layouts, strict=True)
    ]


def random_plane(
    weights: Sequence[Tensor],
    generator: torch.Generator,
    *,
    count: int = 2,
    kind: Normalisation = "filter",
    vectors: bool = False,
    layouts: Sequence[Layout] | None = None,
) -> Plane:
    """Draw Gaussian directions.

    Args:
        weights: one tensor a parameter.
        generator: on the CPU.
        count: one or two.
        kind: how they are scaled.
        vectors: include biases and BatchNorm.
        layouts: as for :func:`normalised`.

    Raises:
        InputError: a direction has no length.
    """
    layouts = layouts or [layout_of(w) for w in weights]
    raw = [
        [torch.randn(w.shape, generator=generator, dtype=torch.float64) for w in weights]
        for _ in range(count)
    ]
    if not vectors:
        moves = [layout != "vector" for layout in layouts]
        raw = [[d * move for d, move in zip(parts, moves, strict=True)] for parts in raw]
    if count == 2:
        share = _inner(raw[0], raw[1]) / _inner(raw[0], raw[0]).clamp(min=1e-300)
        across = [b - share * a for a, b in zip(*raw, strict=True)]
        rounding = bool(_inner(across, across) <= 1e-20 * _inner(raw[1], raw[1]))
        raw[1] = [0 * part for part in across] if rounding else across
    directions = [
        normalised(
            [d.to(w) for d, w in zip(parts, weights, strict=True)],
            weights,
            kind,
            vectors=vectors,
            layouts=layouts,
        )
        for parts in raw
    ]
    plane = Plane(directions, ("random",) * count, kind, (float("nan"),) * count)
    if not all(length > 0 for length in plane.norms):
        raise InputError(
            "a random direction has no length: the parameters that it moves are zero, are vectors "
            "such as biases, or are a single number, which has no second direction; move others "
            "with ",
            *(Setting("surface.vectors"), ", leave their sizes out with "),
            *(Setting("surface.normalisation"), " none, or take a line with "),
            *(Setting("surface.dimensions"), " 1"),
        )
    return plane


def plane_through(weights: Sequence[Tensor], others: Sequence[Sequence[Tensor]]) -> Plane:
    """Span the plane of the centre and one or two other checkpoints, at step 1 along each.

    Raises:
        InputError: a checkpoint is the centre itself, or the two lie on one line with it.
    """
    directions = [[o.to(w) - w for o, w in zip(other, weights, strict=True)] for other in others]
    plane = Plane(
        directions, ("checkpoint",) * len(directions), "none", (float("nan"),) * len(directions)
    )
    if min(plane.norms) == 0 or (len(directions) == 2 and abs(plane.cosine) > 1 - 1e-9):
        raise InputError(
            "these checkpoints span no plane: one has the centre's weights, or all lie on a line"
        )
    return plane


def principal_plane(weights: Sequence[Tensor], others: Sequence[Sequence[Tensor]]) -> Plane:
    """Span the two main directions of a trajectory, centred at its end.

    Each is scaled so that the trajectory reaches 0.8 along it at most.

    Args:
        weights: of the centre, the trajectory's last point.
        others: of the trajectory's other points.

    Raises:
        InputError: fewer than two other points.
    """
    moved = [
        torch.cat([(o.to(w) - w).flatten() for o, w in zip(other, weights, strict=True)]).double()
        for other in others
    ]
    if len(moved) < 2 or not any(part.any() for part in moved):
        raise InputError(
            f"a principal plane needs at least two other checkpoints, and there are {len(moved)}; "
            "train with more ",
            Setting("checkpoints"),
            ", or take ",
            Setting("surface.directions"),
            " random",
        )
    path = torch.stack(moved)
    # the Gram matrix is T x T; the matrix of parameters would be P x P
    values, vectors = torch.linalg.eigh(path @ path.T)
    if values[-2] <= 1e-12 * values[-1]:
        raise InputError(
            "the other checkpoints lie on a line with the centre, or are the centre; a principal "
            "plane needs two directions: train with more ",
            Setting("checkpoints"),
        )
    explained = (values / values.sum()).flip(0)[:2]
    directions = []
    for k in (-1, -2):
        unit = path.T @ vectors[:, k]
        unit = unit / norm(unit)
        reach = (path @ unit).abs().max()
        directions.append(_split(unit * (reach / 0.8), weights))
    return Plane(directions, ("pca", "pca"), "none", tuple(explained.tolist()))


def hessian_plane(weights: Sequence[Tensor], vectors: Tensor) -> Plane:
    """Span the extreme Hessian eigenvectors, of unit length.

    Args:
        weights: of the centre.
        vectors: (P, 2), of the lowest and the highest eigenvalue.

    Raises:
        InputError: these are no numbers.
    """
    if not vectors.isfinite().all():
        raise InputError(
            "the Hessian's products are no finite numbers, so that it has no eigenvectors to go "
            "along: a second derivative is infinite, as of a square root or a norm at 0, though "
            "the loss is not; take other directions"
        )
    directions = [_split(vectors[:, k].double(), weights) for k in (0, 1)]
    return Plane(directions, ("hessian lowest", "hessian highest"), "none", (float("nan"),) * 2)


def _scaled(
    direction: Tensor, weight: Tensor, layout: Layout, kind: Normalisation, vectors: bool
) -> Tensor:
    if layout == "vector" and not vectors:
        return torch.zeros_like(direction)
    if kind == "none":
        return direction
    own = layout if kind == "filter" else "vector"
    d, w = by_filter(direction, own), by_filter(weight, own)
    lengths, wanted = norm(d, dim=1)[:, None], norm(w, dim=1)[:, None]
    factor = torch.where(lengths > 0, wanted / lengths.clamp(min=1e-300), 0.0)
    return from_filters(d * factor.to(d), direction, own)


def _inner(one: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    return torch.stack(
        [(a.double() * b.double()).sum() for a, b in zip(one, other, strict=True)]
    ).sum()


def _split(flat: Tensor, weights: Sequence[Tensor]) -> Direction:
    parts = flat.split([w.numel() for w in weights])
    return [part.view_as(w).to(w) for part, w in zip(parts, weights, strict=True)]
