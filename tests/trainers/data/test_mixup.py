"""Mixup: its formula, its distribution, and that only the generator decides."""

import pytest
import torch
from scipy import stats

from trainers.data.mixup import mixup

INPUTS = torch.randn(8, 3, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shares(alpha: float, draws: int) -> list[float]:
    generator = seeded()
    return [mixup(INPUTS[:1, 0, 0], LABELS[:1], alpha, generator).share for _ in range(draws)]


def test_formula():
    mixed = mixup(INPUTS, LABELS, 1.0, seeded())
    # labels are positions here, so that the partners tell the permutation
    expected = mixed.share * INPUTS + (1 - mixed.share) * INPUTS[mixed.partners]
    assert torch.allclose(mixed.inputs, expected)
    assert mixed.inputs.dtype == INPUTS.dtype
    assert 0 < mixed.share < 1


def test_partners_are_a_permutation_of_the_batch():
    mixed = mixup(INPUTS, LABELS, 1.0, seeded())
    assert torch.equal(mixed.partners.sort().values, LABELS)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_are_beta_distributed(alpha):
    found = stats.kstest(shares(alpha, 2000), stats.beta(alpha, alpha).cdf)
    assert found.pvalue > 1e-4


def test_tiny_alpha_takes_either_sample_whole():
    found = torch.tensor(shares(1e-8, 200))
    assert torch.all((found < 1e-6) | (found > 1 - 1e-6))
    assert 60 < int((found > 0.5).sum()) < 140


def test_huge_alpha_mixes_half_and_half():
    assert shares(1e8, 20) == pytest.approx([0.5] * 20, abs=1e-3)


def test_alpha_zero_mixes_nothing():
    mixed = mixup(INPUTS, LABELS, 0, seeded())
    assert mixed.share == 1
    assert torch.equal(mixed.inputs, INPUTS)


def test_negative_alpha_is_refused():
    with pytest.raises(ValueError, match=r"alpha -0\.5 is negative"):
        mixup(INPUTS, LABELS, -0.5, seeded())


def test_only_the_generator_decides():
    before = torch.get_rng_state()
    first, second = mixup(INPUTS, LABELS, 1.0, seeded()), mixup(INPUTS, LABELS, 1.0, seeded())
    assert torch.equal(torch.get_rng_state(), before)
    assert first.share == second.share
    assert torch.equal(first.inputs, second.inputs)
    assert torch.equal(first.partners, second.partners)
    assert mixup(INPUTS, LABELS, 1.0, seeded(1)).share != first.share
