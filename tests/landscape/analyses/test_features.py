"""Feature quality by hand."""

import math
import resource

import pytest
import torch

from landscape.analyses import feature_measures as module
from landscape.analyses.features import feature_quality, neural_collapse
from landscape.subject.members import members_of_classes

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


def random_features(classes=37, shift=0.0, seed=0):
    """Classes of 1 to 6 samples, one without any."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.cat([torch.full((1 + c % 6,), c) for c in range(classes)])
    labels = labels[torch.randperm(len(labels), generator=generator)]
    centres = torch.randn(classes, 5, generator=generator, dtype=torch.float64)
    noise = torch.randn(len(labels), 5, generator=generator, dtype=torch.float64)
    return centres[labels] + 0.3 * noise + shift, labels


def defined(features, labels, classes):
    """Separation and variance by the definition, class by class."""
    parts = [features[labels == c] for c in range(classes)]
    means = [part.mean(dim=0) for part in parts]
    apart = [
        min(((a - b) ** 2).sum().sqrt() for j, b in enumerate(means) if j != i)
        for i, a in enumerate(means)
    ]
    spread = [((p - m) ** 2).sum(dim=1).mean() for p, m in zip(parts, means, strict=True)]
    return torch.stack(apart), torch.stack(spread)


@pytest.mark.parametrize("shift", [0.0, 1e3])
@pytest.mark.parametrize("entries", [2**22, 40])
def test_slices_give_the_definition(shift, entries, monkeypatch):
    monkeypatch.setattr(module, "_ENTRIES", entries)  # whole, or eight rows and one at a time
    features, labels = random_features(shift=shift)
    found = feature_quality(features, labels, 37)
    separation, variance = defined(features, labels, 37)
    assert torch.allclose(found.separation, separation, rtol=1e-12 * max(shift, 1), atol=0)
    assert torch.allclose(found.variance, variance, rtol=1e-12 * max(shift, 1), atol=1e-25)
    quality = separation - 0.5 * variance.log()
    many = variance > 1e-20  # of one sample there is none
    assert torch.allclose(found.quality[many], quality[many], rtol=1e-9)


def test_slices_give_the_neural_collapse_of_the_definition(monkeypatch):
    monkeypatch.setattr(module, "_ENTRIES", 40)
    features, labels = random_features(classes=9)
    weight, predicted = torch.randn(9, 5).double(), labels.flip(0)
    found = neural_collapse(features, labels, 9, weight, predicted)
    means = torch.stack([features[labels == c].mean(dim=0) for c in range(9)])
    m = means - means.mean(dim=0)
    inverse = torch.linalg.pinv(m.T @ m / 9)
    for c in range(9):
        spread = features[labels == c] - means[c]
        covariance = spread.T @ spread / len(spread)
        expected = float((covariance @ inverse).trace() / 9)
        assert float(found.nc1_class[c]) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    gram = m @ m.T
    frame = gram / gram.norm() - (torch.eye(9).double() - 1 / 9) / 8**0.5
    assert found.nc2 == pytest.approx(float(frame.norm()), rel=1e-12)
    assert found.nc3 == pytest.approx(float((weight / weight.norm() - m / m.norm()).norm()))
    nearest = torch.stack([((f - means) ** 2).sum(dim=1).argmin() for f in features])
    assert found.nc4 == pytest.approx(float((nearest == predicted).double().mean()))


def test_a_class_alone_and_one_without_numbers_are_nobodys_neighbour():
    assert feature_quality(POINTS[:2], LABELS[:2], 3).separation[0].isnan()
    broken = torch.cat([POINTS, torch.full((1, 2), math.nan)])
    found = feature_quality(broken, torch.cat([LABELS, torch.tensor([3])]), 4)
    assert found.separation[:3].tolist() == feature_quality(POINTS, LABELS, 3).separation.tolist()


@pytest.mark.slow
def test_nothing_is_as_large_as_samples_times_classes():
    """20,000 vectors of 8,142 classes: 1.2 GiB would be one matrix of samples and classes."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.cat([torch.arange(8142), torch.randint(0, 8142, (11858,), generator=generator)])
    features = torch.randn(20000, 16, generator=generator, dtype=torch.float64)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = feature_quality(features, labels, 8142)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert found.separation.isfinite().all()
    assert grown < 300 * 1024  # KiB


def test_members_are_those_of_a_search_for_each_class():
    labels = torch.tensor([3, 1, -1, 3, 0, 1, 7, 3])
    found = members_of_classes(labels, 5)
    assert [m.tolist() for m in found] == [
        (labels == c).nonzero().flatten().tolist() for c in range(5)
    ]
