"""Long-tailed class sizes and the samples chosen."""

import numpy as np
import pytest

from landscape.errors import InputError
from trainers.data.longtail import longtail_counts, longtail_indices

CIFAR10, CIFAR100 = [5000] * 10, [500] * 100


def test_cifar10_at_100():
    found = longtail_counts(CIFAR10, 100)
    assert found == (5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50)


@pytest.mark.parametrize(
    ("pool", "imbalance", "total", "smallest"),
    [
        (CIFAR10, 10, 20431, 500),
        (CIFAR10, 50, 13996, 100),
        (CIFAR10, 100, 12406, 50),
        (CIFAR10, 200, 11203, 25),
        (CIFAR100, 10, 19573, 50),
        (CIFAR100, 50, 12608, 10),
        (CIFAR100, 100, 10847, 5),
        (CIFAR100, 200, 9502, 2),
    ],
)
def test_totals_of_the_published_subsets(pool, imbalance, total, smallest):
    found = longtail_counts(pool, imbalance)
    assert (sum(found), min(found)) == (total, smallest)


def test_step():
    assert longtail_counts(CIFAR10, 100, "step") == (5000,) * 5 + (50,) * 5
    assert sum(longtail_counts(CIFAR100, 100, "step")) == 25250


def test_digits_at_20_leave_405():
    assert sum(longtail_counts([120] * 10, 20)) == 405


def test_choice_follows_one_legacy_generator_class_by_class():
    labels = np.tile(np.arange(3), 20)
    random = np.random.RandomState(0)
    expected = []
    for c, n in enumerate((20, 9, 4)):
        members = np.flatnonzero(labels == c)
        random.shuffle(members)
        expected.extend(members[:n])
    assert longtail_indices(labels, (20, 9, 4)).tolist() == expected


def test_imbalance_one_keeps_everything_in_order():
    assert longtail_counts([7, 3, 9], 1) == (7, 3, 9)
    assert longtail_indices(np.array([2, 0, 1]), (1, 1, 1)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("pool", "imbalance", "sentence"),
    [
        ([10] * 3, 0.5, "at least 1"),
        ([10] * 3, float("nan"), "at least 1"),
        ([10] * 3, 100, "class 2 would have no samples"),
        ([10, 0, 10], 1, "class 1 has no samples"),
        ([30, 2, 1], 2, "these data are not balanced"),
    ],
)
def test_bad_input(pool, imbalance, sentence):
    with pytest.raises(InputError, match=sentence):
        longtail_counts(pool, imbalance)
