"""Which samples an epoch draws: exact counts where they are fixed, frequencies where not."""

from typing import get_args

import pytest
import torch

from landscape.errors import InputError
from trainers.data.samplers import Cycles, SamplerName, epoch_order

NAMES = get_args(SamplerName)
SMALL, LARGE = (60, 20, 6, 0, 1), (60_000, 30_000, 9_000, 0, 1_000)


def labels_of(counts: tuple[int, ...]) -> torch.Tensor:
    """Labels in mixed order."""
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return labels[torch.randperm(len(labels), generator=seeded(7))]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("counts", [SMALL, (0, 5), (3,), (1, 1, 1), LARGE])
def test_draws_as_many_as_there_are(name, counts):
    order = epoch_order(name, labels_of(counts), len(counts), seeded())
    assert order.shape == (sum(counts),)
    assert order.dtype == torch.int64
    assert int(order.min()) >= 0
    assert int(order.max()) < sum(counts)


def test_instance_draws_each_once():
    order = epoch_order("instance", labels_of(SMALL), 5, seeded())
    assert torch.equal(order.sort().values, torch.arange(87))
    assert not torch.equal(order, torch.arange(87))


@pytest.mark.parametrize("counts", [SMALL, LARGE])
def test_balanced_classes_take_turns(counts):
    labels = labels_of(counts)
    drawn = labels[epoch_order("balanced", labels, len(counts), seeded())]
    present = [c for c, count in enumerate(counts) if count]
    rounds = len(labels) // len(present)
    turns = drawn[: rounds * len(present)].view(rounds, len(present))
    assert torch.equal(turns.sort(dim=1).values, torch.tensor(present).expand_as(turns))
    assert len(turns.unique(dim=0)) > 1
    rest = drawn[rounds * len(present) :]
    assert len(rest.unique()) == len(rest)
    assert set(rest.tolist()) <= set(present)


def test_balanced_class_hands_out_all_before_any_repeats():
    labels = labels_of(SMALL)
    order = epoch_order("balanced", labels, 5, seeded())
    for c in (0, 1, 2, 4):
        members = set(torch.nonzero(labels == c).flatten().tolist())
        drawn = order[labels[order] == c]
        assert len(drawn) in {87 // 4, 87 // 4 + 1}
        for handed_out in drawn.split(len(members)):
            assert len(handed_out.unique()) == len(handed_out)
            assert set(handed_out.tolist()) <= members


def test_balanced_class_shuffles_anew():
    labels = labels_of(SMALL)
    order = epoch_order("balanced", labels, 5, seeded())
    passes = order[labels[order] == 2][:18].view(3, 6)
    assert len(passes.unique(dim=0)) > 1


@pytest.mark.parametrize(("name", "exponent"), [("reversed", -1), ("sqrt", 0.5)])
def test_frequencies_of_classes(name, exponent):
    labels, counts = labels_of(LARGE), torch.tensor(LARGE).double()
    weights = torch.tensor([c**exponent if c else 0 for c in LARGE], dtype=torch.float64)
    expected = weights / weights.sum()
    order = epoch_order(name, labels, 5, seeded())
    found = torch.bincount(labels[order], minlength=5) / len(labels)
    deviation = (expected * (1 - expected) / counts.sum()).sqrt()
    assert torch.all((found - expected).abs() <= 5 * deviation)


@pytest.mark.parametrize(("name", "label"), [("reversed", 4), ("sqrt", 2)])
def test_samples_of_a_class_are_drawn_uniformly(name, label):
    labels = labels_of(LARGE)
    order = epoch_order(name, labels, 5, seeded())
    found = torch.bincount(order, minlength=len(labels))[labels == label].double()
    freedom = len(found) - 1
    statistic = float(((found - found.mean()) ** 2 / found.mean()).sum())
    assert abs(statistic - freedom) < 5 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("name", ["balanced", "reversed", "sqrt"])
def test_absent_classes_are_never_drawn(name):
    labels = labels_of((0, 400, 0, 200, 0))
    drawn = labels[epoch_order(name, labels, 5, seeded())]
    assert set(drawn.tolist()) == {1, 3}


@pytest.mark.parametrize("name", NAMES)
def test_only_the_generator_decides(name):
    labels = labels_of(SMALL)
    before = torch.get_rng_state()
    first, second = (epoch_order(name, labels, 5, seeded()) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, second)
    assert not torch.equal(first, epoch_order(name, labels, 5, seeded(1)))


def test_epochs_of_one_generator_differ():
    labels, generator = labels_of(SMALL), seeded()
    first, second = (epoch_order("balanced", labels, 5, generator) for _ in range(2))
    assert not torch.equal(first, second)


def test_balanced_cycles_go_on_from_epoch_to_epoch():
    """All samples of a class are handed out before any repeats, and all classes take turns."""
    labels, generator, cycles = labels_of((40, 7, 3)), seeded(), Cycles()
    epochs = [epoch_order("balanced", labels, 3, generator, cycles) for _ in range(6)]
    drawn = torch.cat(epochs)
    turns = labels[drawn][: len(drawn) // 3 * 3].view(-1, 3)
    assert torch.equal(turns.sort(dim=1).values, torch.tensor([0, 1, 2]).expand_as(turns))
    for c, count in enumerate((40, 7, 3)):
        for handed_out in drawn[labels[drawn] == c].split(count):
            assert len(handed_out.unique()) == len(handed_out)


def test_distinct_head_images_of_four_epochs_on_cifar10_lt():
    """4 x 1240 draws of the 5000 head images, none twice; with new starts 3400 are distinct."""
    from trainers.data.longtail import longtail_counts

    labels = labels_of(longtail_counts([5000] * 10, 100))
    generator, cycles = seeded(), Cycles()
    drawn = torch.cat([epoch_order("balanced", labels, 10, generator, cycles) for _ in range(4)])
    head = drawn[labels[drawn] == 0]
    assert len(head.unique()) == len(head) == pytest.approx(4963, abs=2)


def test_cycles_resume():
    labels, generator, cycles = labels_of(SMALL), seeded(), Cycles()
    epoch_order("balanced", labels, 5, generator, cycles)
    later, other = seeded(1), Cycles()
    other.restore(cycles.state())
    later.set_state(generator.get_state())
    expected = epoch_order("balanced", labels, 5, generator, cycles)
    assert torch.equal(epoch_order("balanced", labels, 5, later, other), expected)


def test_unknown_name_says_the_closest():
    with pytest.raises(InputError, match="unknown sampler 'balance'; did you mean 'balanced'"):
        epoch_order("balance", labels_of(SMALL), 5, seeded())


def test_label_out_of_range_is_refused():
    with pytest.raises(ValueError, match="label 4 is not below num_classes, 4"):
        epoch_order("balanced", labels_of(SMALL), 4, seeded())


def test_four_samples_of_a_class_a_turn():
    """Classes of 50, 20, no and 2 samples: each turn hands out four of one class."""
    labels = torch.repeat_interleave(torch.tensor([0, 1, 3]), torch.tensor([50, 20, 2]))
    generator = torch.Generator().manual_seed(0)
    drawn = labels[epoch_order("balanced-4", labels, 4, generator)]
    assert len(drawn) == 72
    turns = drawn.view(-1, 4)
    assert (turns == turns[:, :1]).all()
    assert torch.bincount(drawn, minlength=4).tolist() == [24, 24, 0, 24]
    assert all(set(three.tolist()) == {0, 1, 3} for three in turns[:, 0].view(-1, 3))
