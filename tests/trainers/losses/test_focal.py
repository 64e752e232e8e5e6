"""The focal loss against its formula, at its limits, and its gradient."""

import pytest
import torch
from torch.nn import functional as F

from trainers.losses.focal import focal

COUNTS = torch.tensor([50, 20, 5])
LOGITS = torch.randn(12, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.arange(12) % 3


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_formula(gamma):
    p = LOGITS.softmax(dim=1)[range(12), LABELS]
    expected = -((1 - p) ** gamma) * p.log()
    assert torch.allclose(focal(COUNTS, gamma=gamma)(LOGITS, LABELS), expected)


def test_gamma_zero_is_cross_entropy():
    expected = F.cross_entropy(LOGITS, LABELS, reduction="none")
    assert torch.allclose(focal(COUNTS, gamma=0)(LOGITS, LABELS), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_gradient_agrees_with_differences(gamma):
    logits = LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: focal(COUNTS, gamma=gamma)(x, LABELS), logits)


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("gap", [10.0, 17.0, 200.0])
def test_a_certain_sample_has_a_finite_gradient(gamma, gap):
    logits = torch.tensor([[gap, 0, 0], [0, gap, 0]], requires_grad=True)
    loss = focal(COUNTS, gamma=gamma)(logits, torch.tensor([0, 0]))
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert torch.isfinite(loss).all()
    assert torch.isfinite(gradient).all()
    assert loss[0].item() == pytest.approx(0, abs=1e-3)
    assert loss[1].item() == pytest.approx(gap, rel=1e-3)


def test_negative_gamma_is_refused():
    with pytest.raises(ValueError, match="gamma -1 is negative"):
        focal(COUNTS, gamma=-1)
