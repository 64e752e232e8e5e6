"""Verdicts follow from intervals."""

import pytest

from landscape.curvature.verdict import gradient_is_small, verdict

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("low", "low_bound", "high", "high_bound", "expected"),
    [
        (0.0, 0.0, 1.0, 0.0, "minimum"),
        (0.01, 0.001, 1.0, 0.01, "minimum"),
        (-0.019, 0.001, 1.0, 0.01, "minimum"),
        (-0.05, 0.001, 1.0, 0.01, "weak saddle"),
        (-0.1, 0.001, 1.0, 0.0, "saddle"),
        (-0.4, 0.01, 1.0, 0.01, "saddle"),
        (-0.1, 0.001, 1.0, 0.9, "weak saddle"),
        (-0.1, 0.001, 1.0, 9.0, "undecided"),
        (-0.019, 0.001, 1.0, 0.9, "undecided"),
        (-0.01, 0.5, 1.0, 0.01, "undecided"),
        (-0.3, 0.4, 1.0, 0.01, "undecided"),
        (-0.03, 0.04, 1.0, 0.01, "minimum"),
        (-1.0, 0.01, -0.5, 0.01, "saddle"),
        (0.0, 0.0, 0.0, 0.0, "minimum"),
        (NAN, 0.0, 1.0, 0.0, "undecided"),
        (-1.0, 0.0, INF, 0.0, "undecided"),
    ],
)
def test_verdict(low, low_bound, high, high_bound, expected):
    assert verdict(low, low_bound, high, high_bound) == expected


@pytest.mark.parametrize(
    ("lowest", "expected"),
    [(-0.05, "minimum"), (-0.2, "undecided"), (-float("inf"), "undecided"), (0.0, "minimum")],
)
def test_a_minimum_needs_that_nothing_hides_below(lowest, expected):
    assert verdict(0.001, 1e-4, 1.0, 1e-4, lowest) == expected
    assert verdict(-0.3, 1e-4, 1.0, 1e-4, lowest) == "saddle"


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_verdict_is_scale_free(scale):
    assert verdict(-0.4 * scale, 0.01 * scale, scale, 0.01 * scale) == "saddle"


def test_small_gradient():
    assert gradient_is_small(loss=1.0, grad_norm=0.3, lambda_max=1.0)
    assert not gradient_is_small(loss=1.0, grad_norm=0.4, lambda_max=1.0)
    assert gradient_is_small(loss=0.0, grad_norm=0.0, lambda_max=0.0)
    assert not gradient_is_small(loss=1.0, grad_norm=1.0, lambda_max=-1.0)
