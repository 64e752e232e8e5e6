"""Gaussian clouded logits against values computed by hand."""

import pytest
import torch
from torch.nn import functional as F

from trainers.losses.clouded import CloudedLogits, clouded

COUNTS = torch.tensor([100, 10, 1])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_margin_scale_and_focus_of_a_known_cosine():
    loss = CloudedLogits(COUNTS[:2], noise=0, margin=0.1, scale=10, head_scale=30, focus=1)
    logits = 30 * torch.tensor([[0.5, 0.2]], dtype=torch.float64)
    # CE of (4, 2) is log(1 + e^-2) = 0.126928, times 1 - p = 0.119203
    found = loss.at(0, 1, generator())(logits, torch.tensor([0]))
    assert float(found) == pytest.approx(0.0151302, abs=1e-6)


def test_noise_lowers_each_class_by_its_rarity():
    cosines = torch.rand(50, 3, generator=generator(1), dtype=torch.float64)
    labels = torch.arange(50) % 3
    found = clouded(COUNTS, noise=0.5, scale=30).at(0, 1, generator())(30 * cosines, labels)
    drawn = torch.empty(50, 3, dtype=torch.float64).normal_(std=1 / 3, generator=generator())
    lowered = cosines - 0.5 * drawn.abs().clamp(max=1) * torch.tensor([0, 0.5, 1.0])
    assert torch.allclose(found, F.cross_entropy(30 * lowered, labels, reduction="none"))


def test_the_weight_of_a_sample_is_not_differentiated():
    logits = torch.tensor([[1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    loss = CloudedLogits(COUNTS[:2], noise=0, scale=1, head_scale=1, focus=2)
    loss.at(0, 1, generator())(logits, torch.tensor([0])).sum().backward()
    missed = 1 - float(logits.detach().softmax(1)[0, 0])
    assert logits.grad[0].tolist() == pytest.approx([-(missed**3), missed**3])


def test_classes_of_one_size_are_not_clouded():
    loss = clouded(torch.tensor([4, 4])).at(0, 1, generator())
    logits, labels = torch.randn(6, 2, generator=generator(2)), torch.arange(6) % 2
    assert torch.allclose(loss(logits, labels), F.cross_entropy(logits, labels, reduction="none"))
