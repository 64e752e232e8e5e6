"""Basins of surfaces against closed forms."""

import math

import numpy as np
import pytest

from landscape.results.basin import Grid
from landscape.results.surface import Surface
from tests.figures.records import surface_record


def plane(points=51, reach=1.0, centre=(0.0, 0.0), least=0.1, steep=(2.0, 5.0)):
    x = y = np.linspace(-reach, reach, points)
    X, Y = np.meshgrid(x - centre[0], y - centre[1])
    loss = least + steep[0] * X**2 + steep[1] * Y**2
    return Grid(x, y, np.ones(loss.shape, bool), math.hypot), loss


def test_a_quadratics_share_is_that_of_its_ellipse():
    """a x² + b y² is below the least loss l in an ellipse of half axes √(l / a) and √(l / b)."""
    exact = math.pi * math.sqrt(0.1 / 2 * 0.1 / 5) / 4
    errors = []
    for points in (51, 101, 201):
        grid, loss = plane(points)
        found = grid.basin(loss)
        errors.append(abs(found.share - exact))
        assert found.bracket[0] <= exact <= found.bracket[1]
        assert not found.cut
    assert errors[0] < 0.02 * exact
    assert errors[2] < errors[0] / 8  # of second order in the spacing


def test_a_cone_is_exact():
    """The loss is linear between the points: the share is exact, whatever the level."""
    grid, _ = plane(9)
    X, _ = np.meshgrid(grid.x, grid.y)
    found = grid.basin(2 + X)  # least 1, below 2 where x < 0
    assert found.share == pytest.approx(0.5, abs=1e-12)
    assert found.at == (-1.0, -1.0)
    assert found.cut


def test_a_line_is_a_plane_of_one_direction():
    x = np.linspace(-1, 1, 201)
    grid = Grid(x, np.zeros(1), np.ones((1, 201), bool), lambda x, _: 3 * abs(x))
    found = grid.basin((0.1 + 2 * (x - 0.2) ** 2)[None])
    assert found.share == pytest.approx(math.sqrt(0.1 / 2), rel=1e-3)
    assert found.at == (pytest.approx(0.2), 0.0)
    assert found.distance == pytest.approx(0.6)
    assert found.centre == pytest.approx(0.18)
    assert not found.cut


def test_losses_that_are_no_numbers_are_outside():
    grid, loss = plane(21)
    loss[0, 0], loss[0, 1] = np.nan, np.inf
    assert grid.basin(loss) == grid.basin(np.where(np.isfinite(loss), loss, 99.0))
    assert np.isnan(grid.basin(np.full_like(loss, np.nan)).share)


def test_a_least_loss_of_zero_has_no_basin():
    grid, loss = plane(21, least=0.0)
    found = grid.basin(loss)
    assert found.minimum == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(found.share)


def test_points_left_out_are_interpolated():
    grid, loss = plane(17)
    full = grid.basin(loss)
    done = np.zeros_like(grid.done)
    done[::2, ::2] = True
    done[4:13, 4:13] = True
    part = Grid(grid.x, grid.y, done, math.hypot).basin(np.where(done, loss, np.nan))
    assert part.share == pytest.approx(full.share, rel=1e-12)
    assert part.bracket == pytest.approx(full.bracket)


def test_distances_are_those_of_the_parameters():
    one = np.array([3.0, 0.0, 4.0])
    other = np.array([1.0, 2.0, 2.0])
    norms = np.array([5.0, 3.0])
    found = surface_record(direction_norm=norms, direction_cosine=np.array(11 / 15))
    for x, y in ((1, 0), (0.3, -0.7), (-2, 0.5)):
        assert found.length(x, y) == pytest.approx(np.linalg.norm(x * one + y * other))


def test_a_surface_of_before_is_completed():
    whole = surface_record()
    new = {"objective", "objective_name", "complete", "scope"}
    kept = {k: v for k, v in vars(whole).items() if k not in new and not k.startswith("basin")}
    found = Surface(**Surface.completed(kept))
    assert found.complete
    assert np.isnan(found.objective).all()
    assert found.scope.tolist()[:4] == ["overall", "head", "mid", "tail"]
    assert np.array_equal(found.basin_share, whole.basin_share)
    kept["done"] = kept["done"].copy()
    kept["done"][0] = False
    unfinished = Surface(**Surface.completed(kept))
    assert not unfinished.complete
    assert np.isnan(unfinished.basin_share).all()
