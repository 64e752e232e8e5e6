"""The gap behind an end's bound, where it is known in closed form."""

import pytest
import torch

from landscape.curvature.dense import MatrixOperator
from landscape.curvature.error_bounds import certify, extreme_pairs
from landscape.curvature.lanczos import Lanczos, lanczos


def stopped(values, coupling):
    """A run whose Ritz vectors are unit vectors: the last one alone has a residual."""
    projected = torch.diag(torch.tensor(values, dtype=torch.float64))
    size = len(values)
    basis = torch.eye(size + 1, dtype=torch.float64)
    return Lanczos(basis[:size], projected, coupling, basis[size], None, size)


@pytest.mark.parametrize(("part", "known"), [(1 / 51.001, True), (1 / 50.999, False), (0.0, True)])
def test_a_neighbour_is_known_where_its_residual_is_a_fiftieth_of_what_is_left(part, known):
    """Of the distance d between Ritz values and the neighbour's residual r, (d - r) / 2 is used."""
    distance = 3.0
    pairs = extreme_pairs([stopped([-1.0, -1.0 + distance], part * distance)])
    expected = (1 - part) * distance / 2 if known else 0.0
    assert pairs.gaps[0] == pytest.approx(expected, rel=1e-12)
    assert pairs.gaps[1] == pytest.approx(distance / 2, rel=1e-12)  # the lower one is exact


def test_a_single_value_has_no_gap():
    assert extreme_pairs([stopped([2.0], 0.1)]).gaps == (0.0, 0.0)


def test_the_run_with_the_farther_end_has_its_own_gap():
    pairs = extreme_pairs([stopped([-1.0, 0.0, 4.0], 0.0), stopped([-2.0, 1.0, 3.0], 0.0)])
    assert pairs.gaps == (1.5, 2.0)
    assert torch.equal(pairs.vectors, torch.eye(4, dtype=torch.float64)[:, [0, 2]])


def test_bounds_are_of_kato_and_temple():
    """The residual squared over the gap, where that is less than the residual."""
    matrix = torch.diag(torch.tensor([-1.0, 2.0, 7.0]).double())
    matrix[0, 1] = matrix[1, 0] = 1e-3
    (run,) = lanczos(MatrixOperator(matrix), torch.eye(3).double()[:, :1], 1)
    pairs = extreme_pairs([run])
    low, _, noise = certify(pairs, matrix @ pairs.vectors)
    assert low.residual == pytest.approx(1e-3)
    assert low.bound == pytest.approx(1e-3 + noise.rounding)  # no neighbour, no gap
    known = type(pairs)(pairs.vectors, pairs.former, (1.5, 0.0))
    low, _, noise = certify(known, matrix @ pairs.vectors)
    assert low.bound == pytest.approx(1e-6 / 1.5 + noise.rounding, rel=1e-9)
