"""Neural collapse on planted simplices and by hand."""

import math

import numpy as np
import pytest
import torch

from landscape.analyses.features import feature_record, neural_collapse


def simplex(classes=4, dimensions=6):
    frame = torch.eye(classes, dimensions, dtype=torch.float64)
    return frame - frame.mean(dim=0)


def collapsed(scale=3.0, shift=5.0, per_class=7):
    means = scale * simplex() + shift
    labels = torch.arange(4).repeat_interleave(per_class)
    return means[labels], labels


def test_a_collapsed_network():
    features, labels = collapsed()
    found = neural_collapse(features, labels, 4, weight=2 * simplex(), predicted=labels)
    assert found.nc1 == pytest.approx(0, abs=1e-12)
    assert found.nc2_norms == pytest.approx(0, abs=1e-12)
    assert found.nc2 == pytest.approx(0, abs=1e-12)
    assert found.nc3 == pytest.approx(0, abs=1e-12)
    assert found.nc4 == 1.0


def test_within_class_spread_by_hand():
    """Isotropic noise s² along the simplex's K-1 directions: tr(Σ_W Σ_B⁺)/K = s² tr(Σ_B⁺)/K."""
    generator = torch.Generator().manual_seed(0)
    features, labels = collapsed(per_class=20000)
    noise = 0.1 * torch.randn(features.shape, generator=generator, dtype=torch.float64)
    found = neural_collapse(features + noise, labels, 4)
    # Σ_B = 9/4 (I - 11ᵀ/4) on the simplex has K - 1 = 3 eigenvalues 9/4
    assert found.nc1 == pytest.approx(0.01 * 3 * 4 / 9 / 4, rel=0.03)
    assert float(found.nc1_class.mean()) == pytest.approx(found.nc1)


def test_a_wide_class_shows_alone():
    features, labels = collapsed(per_class=500)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(features.shape, generator=generator, dtype=torch.float64)
    features = features + 0.1 * noise * (labels == 3)[:, None]
    shares = neural_collapse(features, labels, 4).nc1_class
    assert float(shares[3]) > 100 * float(shares[:3].max())


def test_the_global_mean_is_class_balanced():
    features, labels = collapsed()
    counts = torch.tensor([7, 3, 2, 1])
    kept = torch.cat([(labels == c).nonzero().flatten()[:n] for c, n in enumerate(counts)])
    found = neural_collapse(features[kept], labels[kept], 4, predicted=labels[kept])
    assert found.nc2 == pytest.approx(0, abs=1e-12)


def test_unequal_norms_and_angles():
    features, labels = collapsed(shift=0.0)
    features = torch.where((labels == 0)[:, None], 2 * features, features)
    found = neural_collapse(features, labels, 4)
    assert found.nc2_norms > 0.1
    assert found.nc2 > 0.1


def test_a_duller_classifier():
    features, labels = collapsed()
    predicted = labels.clone()
    predicted[:7] = 1
    found = neural_collapse(features, labels, 4, weight=simplex().flip(0), predicted=predicted)
    assert found.nc4 == pytest.approx(21 / 28)
    assert found.nc3 > 0.5


def test_record_with_embedding():
    features, labels = collapsed(per_class=12)
    generator = torch.Generator().manual_seed(0)
    features = features + 0.1 * torch.randn(features.shape, generator=generator)
    names, counts = ("a", "b", "c", "d"), (9, 5, 3, 1)
    found = feature_record(features, labels, names, counts, embedded=10)
    assert found.embedding.shape == (40, 2)
    assert np.bincount(found.label).tolist() == [10] * 4
    inside = [found.embedding[found.label == c] for c in range(4)]
    centres = np.stack([part.mean(axis=0) for part in inside])
    radius = max(np.linalg.norm(part - part.mean(axis=0), axis=1).max() for part in inside)
    apart = min(np.linalg.norm(centres[i] - centres[j]) for i in range(4) for j in range(i))
    assert apart > radius
    plain = feature_record(features, labels, names, counts)
    assert plain.embedding.shape == (0, 2)
    assert plain.scope_mean("class/2") == pytest.approx(float(plain.quality[2]))
    assert math.isnan(float(plain.nc3))


def test_a_frequent_class_does_not_pull_the_global_mean():
    """Other tools pool samples by frequency."""
    frame = torch.eye(3, 4).double() - torch.eye(3, 4).double().mean(dim=0)
    labels = torch.tensor([0] * 50 + [1] * 5 + [2])
    assert neural_collapse(frame[labels], labels, 3).nc2 == pytest.approx(0, abs=1e-12)
