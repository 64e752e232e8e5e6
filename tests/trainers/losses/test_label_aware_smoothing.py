"""Label-aware smoothing against values computed by hand."""

import math

import pytest
import torch

from trainers.losses.label_aware_smoothing import label_aware_smoothing, smoothing

COUNTS = torch.tensor([9, 5, 1])


def test_smoothing_is_concave_between_tail_and_head():
    found = smoothing(COUNTS, 0.4, 0.1)
    assert found.tolist() == pytest.approx([0.4, 0.1 + 0.3 * math.sqrt(0.5), 0.1])


def test_classes_of_one_size_are_smoothed_alike():
    assert smoothing(torch.tensor([7, 7]), 0.3, 0.0).tolist() == pytest.approx([0.3, 0.3])


def test_loss_of_known_probabilities():
    logits = torch.tensor([[2.0, 1.0, 1.0]], dtype=torch.float64).log()  # p = (1/2, 1/4, 1/4)
    loss = label_aware_smoothing(COUNTS, smooth_head=0.4, smooth_tail=0.1)
    # s = 0.312132, -log p_y = 1.386294, the mean over classes 1.155245
    assert float(loss(logits, torch.tensor([1]))) == pytest.approx(1.314177, abs=1e-6)


def test_without_smoothing_it_is_the_cross_entropy():
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 1, 0])
    loss = label_aware_smoothing(COUNTS, smooth_head=0.0, smooth_tail=0.0)
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    assert torch.allclose(loss(logits, labels), expected)
