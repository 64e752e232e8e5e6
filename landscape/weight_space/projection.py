"""Project checkpoints on a plane: least-squares coordinates, and distances off it."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from landscape.weight_space.directions import Plane


def projected(
    plane: Plane, centre: Sequence[Tensor], points: Iterable[Sequence[Tensor]]
) -> tuple[Tensor, Tensor]:
    """Project parameters on a plane, in steps of its directions.

    Args:
        plane: one or two directions, not necessarily orthogonal.
        centre: weights at (0, 0), one tensor a parameter.
        points: weights to project, likewise, read one after the other.

    Returns:
        Coordinates (T, 2), the second 0 on a line, and distances from the plane (T,), float64.
    """
    basis = torch.stack(
        [torch.cat([d.flatten().double() for d in parts]) for parts in plane.directions], dim=1
    )
    coordinates, distances = [], []
    for point in points:
        moved = torch.cat(
            [(p.to(c) - c).flatten().double() for p, c in zip(point, centre, strict=True)]
        )
        found = torch.linalg.lstsq(basis, moved[:, None]).solution[:, 0]
        distances.append(torch.linalg.vector_norm(moved - basis @ found))
        coordinates.append(torch.cat([found, found.new_zeros(2 - len(found))]))
    if not coordinates:
        return torch.zeros(0, 2, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    return torch.stack(coordinates).cpu(), torch.stack(distances).cpu()
