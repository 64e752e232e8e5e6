"""Verdicts follow from the brackets of both ends."""

import numpy as np
import pytest

from landscape.curvature.verdict import gradient_is_small, verdict

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("low", "high", "lowest", "highest", "floor", "expected"),
    [
        (0.0, 1.0, 0.0, 1.0, 0.0, "minimum"),
        (0.01, 1.0, 0.009, 1.01, 0.001, "minimum"),
        (-0.018, 1.0, -0.03, 1.01, 0.001, "minimum"),
        (0.001, 1.0, -0.05, 1.0, 1e-4, "minimum"),
        (0.001, 1.0, -0.2, 1.0, 1e-4, "undecided"),
        (0.001, 1.0, -INF, 1.0, 1e-4, "undecided"),
        (-0.05, 1.0, -0.06, 1.01, 0.001, "weak saddle"),
        (-0.1, 1.0, -0.1, 1.0, 0.0, "saddle"),
        (-0.1, 1.0, -0.1, 1.0, 1e-3, "weak saddle"),
        (-0.4, 1.0, -INF, 1.01, 0.01, "saddle"),
        (-0.1, 1.0, -0.11, 1.9, 0.001, "weak saddle"),
        (-0.1, 1.0, -0.11, 9.0, 0.001, "undecided"),
        (-0.1, 1.0, -0.11, INF, 0.001, "undecided"),
        (-0.019, 1.0, -0.11, 1.1, 0.001, "undecided"),
        (-0.3, 1.0, -0.7, 1.01, 0.4, "undecided"),
        (-1.0, -0.5, -1.01, -0.49, 0.01, "maximum"),
        (-1.0, 0.0, -1.01, 0.001, 1e-4, "maximum"),
        (-1.0, 0.0, -1.01, 0.1, 1e-4, "saddle"),
        (0.0, 0.0, 0.0, 0.0, 0.0, "flat"),
        (-1e-9, 2e-9, -3e-9, 4e-9, 2e-9, "flat"),
        (-1e-9, 2e-9, -3e-9, 1.0, 2e-9, "undecided"),
        (NAN, 1.0, NAN, 1.0, 0.0, "undecided"),
        (-1.0, INF, -1.0, INF, 0.0, "undecided"),
        (-1.0, 1.0, NAN, NAN, 0.0, "undecided"),
    ],
)
def test_verdict(low, high, lowest, highest, floor, expected):
    assert verdict(low, high, lowest, highest, floor) == expected


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_verdict_is_scale_free(scale):
    for ends in ((-0.4, 1.0, -0.41, 1.01, 0.01), (-1.0, -0.5, -1.1, -0.4, 0.01)):
        assert verdict(*(scale * end for end in ends)) == verdict(*ends)


def test_no_pair_of_ends_inside_the_brackets_contradicts_a_verdict():
    random = np.random.default_rng(0)
    said = set()
    for _ in range(20000):
        low, high = np.sort(random.normal(size=2) * 10.0 ** random.integers(-3, 1, 2))
        hidden, floor = 10.0 ** random.uniform(-4, 0, 2) * random.integers(0, 2, 2)
        found = verdict(low, high, low - floor - hidden, high + floor + hidden, floor)
        said.add(found)
        for a in (low + floor, low - floor - hidden):
            for b in (high - floor, high + floor + hidden):
                if found in ("saddle", "weak saddle"):
                    assert a < 0
                    assert b <= 0 or -a / b >= (0.1 if found == "saddle" else 0.02) - 1e-12
                if found == "minimum":
                    assert a >= 0 or (b > 0 and -a / b < 0.1)
                if found == "maximum":
                    assert a < 0
                    assert b < 0.02 * -a
    assert said == {"minimum", "weak saddle", "saddle", "maximum", "flat", "undecided"}


def test_small_gradient():
    assert gradient_is_small(loss=1.0, grad_norm=0.3, lambda_max=1.0)
    assert not gradient_is_small(loss=1.0, grad_norm=0.4, lambda_max=1.0)
    assert gradient_is_small(loss=0.0, grad_norm=0.0, lambda_max=0.0)
    assert not gradient_is_small(loss=1.0, grad_norm=1.0, lambda_max=-1.0)
    assert not gradient_is_small(loss=1.0, grad_norm=1e-9, lambda_max=0.0)


@pytest.mark.parametrize(("loss", "lambda_max"), [(20.0, 0.5), (1.0, 8.0), (0.25, 40.0)])
def test_the_best_step_along_the_gradient_may_lower_the_loss_by_a_twentieth(loss, lambda_max):
    """By ‖g‖²/(2 λmax), the least of the parabola with this slope and curvature."""
    edge = (0.05 * loss * 2 * lambda_max) ** 0.5
    lengths = np.linspace(0, 2 * edge / lambda_max, 10001)
    change = lambda_max * lengths**2 / 2 - edge * lengths
    assert -change.min() == pytest.approx(0.05 * loss)
    assert gradient_is_small(loss, edge * (1 - 1e-12), lambda_max)
    assert not gradient_is_small(loss, edge * (1 + 1e-12), lambda_max)


def test_a_gradient_at_the_threshold_is_small():
    assert gradient_is_small(loss=20.0, grad_norm=1.0, lambda_max=0.5)


@pytest.mark.parametrize("unknown", [(NAN, 1.0), (-0.5, NAN)])
def test_one_end_that_is_not_bounded_is_enough(unknown):
    assert verdict(-0.5, 1.0, *unknown) == "undecided"


def test_products_are_exact_unless_said_otherwise():
    assert verdict(-0.5, 1.0, -0.5, 1.0) == "saddle"
