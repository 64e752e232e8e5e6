"""Coordinates of weights in a plane."""

import pytest

from landscape.weight_space.directions import principal_plane
from landscape.weight_space.projection import projected
from tests.landscape.analyses.test_surface import planted


def test_coordinates_are_in_units_of_the_directions():
    """loss-landscape draws 2.5 steps along a direction of norm 9.58 at 23.9."""
    weights, plane, _ = planted()
    point = [w + 2.5 * d for w, d in zip(weights, plane.directions[0], strict=True)]
    coordinates, _ = projected(plane, weights, [point])
    assert plane.norms[0] > 3
    assert float(coordinates[0, 0]) == pytest.approx(2.5, abs=1e-12)


def test_principal_directions_are_about_the_centre_of_the_projection():
    """loss-landscape takes components about the mean, and coordinates about the end."""
    weights, plane, _ = planted()
    # a line that misses the origin: about the end it spans two directions, about the mean one
    path = [
        [w + a + s * b for w, a, b in zip(weights, *plane.directions, strict=True)]
        for s in (1.0, 2.0, 3.0)
    ]
    found = principal_plane(weights, path)
    _, distances = projected(found, weights, path)
    assert distances.max() < 1e-9
