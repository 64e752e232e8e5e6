"""Losses and weights against their formulas and published values."""

import pytest
import torch
from torch.nn import functional as F

from trainers.data.longtail import longtail_counts
from trainers.losses.cross_entropy import cross_entropy
from trainers.losses.ldam import ldam, margins
from trainers.losses.logit_adjustment import logit_adjustment
from trainers.losses.vector_scaling import vector_scaling
from trainers.losses.weighting import (
    class_weights,
    effective_number_weights,
    inverse_frequency_weights,
    sample_weights,
)
from trainers.methods.grammar import WEIGHTINGS

CIFAR10 = torch.tensor(longtail_counts([5000] * 10, 100))
CIFAR100 = torch.tensor(longtail_counts([500] * 100, 100))
LOGITS = torch.randn(12, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.arange(12) % 10


def test_drw_weights_of_cifar():
    weights = effective_number_weights(CIFAR10, 0.9999)
    assert float(weights[0]) == pytest.approx(0.0506, abs=5e-5)
    assert float(weights[-1]) == pytest.approx(3.99, abs=5e-3)
    assert float(weights.sum()) == pytest.approx(10)
    weights = effective_number_weights(CIFAR100, 0.9999)
    assert float(weights[0]) == pytest.approx(0.0449, abs=5e-5)
    assert float(weights[-1]) == pytest.approx(4.38, abs=5e-3)


def test_inverse_frequency():
    weights = inverse_frequency_weights(CIFAR10)
    assert torch.allclose(weights * CIFAR10, (weights * CIFAR10)[0].expand(10))
    assert float(weights.sum()) == pytest.approx(10)


def test_deferred_weights_start_at_160_of_200():
    settings = {name: s.value for name, s in WEIGHTINGS["drw"].settings.items()}
    assert class_weights(CIFAR10, 159, 200, **settings) is None
    assert torch.equal(
        class_weights(CIFAR10, 160, 200, **settings), effective_number_weights(CIFAR10, 0.9999)
    )


def test_sample_weights_make_the_mean_torchs_weighted_mean():
    weights = effective_number_weights(CIFAR10, 0.9999)
    each = F.cross_entropy(LOGITS, LABELS, reduction="none")
    expected = F.cross_entropy(LOGITS, LABELS, weight=weights.double())
    found = (each * sample_weights(weights, LABELS)).mean()
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
    assert sample_weights(None, LABELS) is None


def test_ldam_margins_of_cifar():
    margin = margins(CIFAR10, 0.5)
    assert float(margin[0]) == pytest.approx(0.158, abs=5e-4)
    assert float(margin[-1]) == 0.5


def test_ldam_lowers_the_true_logit():
    shifted = LOGITS.clone()
    shifted[range(12), LABELS] -= 30 * margins(CIFAR10, 0.5).double()[LABELS]
    expected = F.cross_entropy(shifted, LABELS, reduction="none")
    assert torch.allclose(ldam(CIFAR10)(LOGITS, LABELS), expected)


def test_logit_adjustment_is_balanced_softmax():
    expected = F.cross_entropy(LOGITS + CIFAR10.double().log(), LABELS, reduction="none")
    assert torch.allclose(logit_adjustment(CIFAR10)(LOGITS, LABELS), expected)


def test_vector_scaling_has_its_special_cases():
    plain = cross_entropy(CIFAR10)(LOGITS, LABELS)
    assert torch.allclose(vector_scaling(CIFAR10, gamma=0, tau=0)(LOGITS, LABELS), plain)
    adjusted = logit_adjustment(CIFAR10, tau=1.2)(LOGITS, LABELS)
    assert torch.allclose(vector_scaling(CIFAR10, gamma=0, tau=1.2)(LOGITS, LABELS), adjusted)
    divisor = (5000 / CIFAR10.double()) ** 0.2
    expected = F.cross_entropy(LOGITS / divisor, LABELS, reduction="none")
    assert torch.allclose(vector_scaling(CIFAR10, gamma=0.2, tau=0)(LOGITS, LABELS), expected)


@pytest.mark.parametrize(("classes", "size", "share"), [(10, 5000, 0.171), (100, 500, 0.203)])
def test_a_mean_over_samples_is_smaller_on_a_long_tail(classes, size, share):
    """Σ w ℓ / B against Σ w ℓ / Σ w, by the expected weight of a sample."""
    counts = torch.tensor(longtail_counts([size] * classes, 100))
    weights = effective_number_weights(counts, 0.9999)
    labels = torch.repeat_interleave(torch.arange(classes), counts)
    by_samples = sample_weights(weights, labels, "samples")
    assert torch.equal(by_samples, weights[labels])
    assert float(by_samples.mean()) == pytest.approx(share, abs=5e-4)
    assert float(sample_weights(weights, labels).mean()) == pytest.approx(1, rel=1e-5)
