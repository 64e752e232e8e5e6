"""Feature quality by hand."""

import math

import pytest
import torch

from landscape.analyses.features import feature_quality

POINTS = torch.tensor([[0.0, 0], [0, 2], [3, 1], [5, 1], [1, 9], [1, 11]])
LABELS = torch.tensor([0, 0, 1, 1, 2, 2])


def test_six_points():
    """Centroids (0, 1), (4, 1), (1, 10), and every variance 1."""
    found = feature_quality(POINTS, LABELS, 3, variance_weight=0.5)
    apart = [4.0, 4.0, math.sqrt(1 + 81)]
    assert found.separation.tolist() == pytest.approx(apart)
    assert found.variance.tolist() == pytest.approx([1.0, 1.0, 1.0])
    assert found.quality.tolist() == pytest.approx(apart)


def test_variance_enters_by_its_logarithm():
    wide = POINTS * torch.tensor([1.0, 3.0])
    found = feature_quality(wide, LABELS, 3, variance_weight=0.5)
    assert found.variance.tolist() == pytest.approx([9.0, 1.0, 9.0])
    assert float(found.quality[0]) == pytest.approx(4 - 0.5 * math.log(9))


def test_released_formula():
    found = feature_quality(POINTS * 2, LABELS, 3, formula="released")
    assert float(found.quality[0]) == pytest.approx(-1 / 8 - math.log(4))


def test_a_class_without_samples_is_no_number():
    found = feature_quality(POINTS, LABELS, 4)
    assert found.quality[:3].isfinite().all()
    assert found.quality[3].isnan()
    assert found.separation[3].isnan()
