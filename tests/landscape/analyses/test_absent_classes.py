"""Classes without samples, as after training on the tail alone: gaps and sentences, no crashes."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import landscape
from landscape.analyses.features import feature_record, neural_collapse, penultimate_features
from landscape.analyses.similarity import class_similarity, paired_similarity
from landscape.analyses.similarity_measures import check_enough_samples
from landscape.errors import InputError
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject
from tests.oracles import mlp, toy_data

NAMES, COUNTS = ("a", "b", "c", "d"), (100, 50, 20, 5)

QUICK = landscape.SpectrumConfig(steps=4, probes=1, trace_probes=2)


def of_two(per_class=120, d=5):
    """Samples of the classes 2 and 3 of four."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([2, 3]).repeat_interleave(per_class)
    centres = 3 * torch.randn(4, d, generator=generator)
    features = centres[labels] + torch.randn(len(labels), d, generator=generator)
    return features.double(), labels


def test_similarity_leaves_absent_classes_open():
    features, labels = of_two()
    found = class_similarity(features, labels, NAMES, COUNTS, draws=2)
    assert int(found.rows) == 120
    for values in (found.score, found.shuffled_baseline):
        assert np.isfinite(values[:, 2:, 2:]).all()
        assert np.isnan(values[:, :2]).all()
        assert np.isnan(values[:, :, :2]).all()
    assert np.isnan(found.head_tail).all()
    alone = class_similarity(features, labels - 2, NAMES[2:], COUNTS[2:], draws=2)
    assert found.score[:, 2:, 2:] == pytest.approx(alone.score)
    row = next(line for line in str(found).splitlines() if line.startswith("cca"))
    assert row.split()[-2:] == [
        f"{v[0, ~np.eye(2, dtype=bool)].mean():.4g}" for v in (alone.score, alone.shuffled_baseline)
    ]


def test_head_against_tail_takes_the_classes_there_are():
    features, labels = of_two()
    labels = torch.where(labels == 2, 0, 5)
    names, counts = (*NAMES, "e", "f"), (100, 80, 50, 20, 10, 5)
    found = class_similarity(features, labels, names, counts, draws=2)
    assert np.isfinite(found.head_tail).all()


def test_paired_similarity_leaves_absent_classes_open():
    features, labels = of_two()
    found = paired_similarity(features, features, labels, NAMES, COUNTS, "other")
    diagonal = np.diagonal(found.score, axis1=1, axis2=2)
    assert np.isnan(diagonal[:, :2]).all()
    assert diagonal[:, 2:] == pytest.approx(np.ones((4, 2)))


def test_few_or_no_samples_are_refused_with_both_numbers():
    features, labels = of_two(per_class=6)
    with pytest.raises(InputError, match="n = 6 samples a side and d = 5 dimensions"):
        class_similarity(features, labels, NAMES, COUNTS)
    with pytest.raises(InputError, match="n = 0 samples a side and d = 5 dimensions"):
        check_enough_samples(0, 5)


def test_neural_collapse_of_some_classes_is_no_number():
    features, labels = of_two()
    found = neural_collapse(features, labels, 4, torch.ones(4, 5), labels)
    assert found.nc1_class.shape == (4,)
    assert found.nc1_class.isnan().all()
    assert all(math.isnan(v) for v in (found.nc1, found.nc2_norms, found.nc2, found.nc3, found.nc4))
    record = feature_record(features, labels, NAMES, COUNTS, embedded=3)
    assert np.isfinite(record.quality[2:]).all()
    assert np.isnan(record.quality[:2]).all()
    assert np.isnan(record.nc1)
    assert record.embedding.shape == (6, 2)
    assert [record.has(scope) for scope in ("head", "tail", "class/3")] == [False, True, True]
    counted = feature_record(features, labels, NAMES, COUNTS, split="count")
    assert not counted.has("head")  # no class has more than 100 samples


def subject():
    data = toy_data((3,), (0, 6, 5))
    return Subject(mlp(outputs=3), data, class_counts=(100, 6, 5), class_names=("a", "b", "c"))


def test_default_scopes_without_samples_are_left_out():
    found = landscape.spectrum(subject(), QUICK)
    assert "class/0" not in found.scope
    assert {"overall", "class/1", "class/2"} <= set(found.scope)
    with pytest.raises(InputError, match="'class/0' has no samples"):
        landscape.spectrum(subject(), QUICK, scopes=("overall", "class/0"))
    names = [scope.name for scope in subject().scopes(("class/0", "class/1"))]
    assert names == ["class/0", "class/1"]


def test_classes_stands_for_those_with_samples():
    found = landscape.spectrum(subject(), QUICK, scopes="classes")
    assert list(found.scope) == ["class/1", "class/2"]
    named = [scope.name for scope in subject().scopes(("classes", "class/0"))]
    assert named == ["class/0", "class/1", "class/2"]
    assert [scope.name for scope in subject().scopes("head")] == ["head"]


def test_scopes_by_names_that_are_numbers_and_names_that_stand_twice():
    data = toy_data((3,), (7, 6, 5))
    numbers = Subject(mlp(outputs=3), data, class_names=("1", "2", "3"))
    assert [scope.classes for scope in numbers.scopes(("class/1", "class/2"))] == [(1,), (2,)]
    with pytest.raises(InputError, match="class/3 is the class of index 3"):
        numbers.scopes("class/3")
    with pytest.raises(InputError, match="classes 0 and 2 are all called 'cat'"):
        Subject(mlp(outputs=3), data, class_names=("cat", "dog", "cat"))


def test_features_are_taken_in_full_precision():
    seen = []

    class Watching(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(3, 2)

        def forward(self, x):
            cuda = torch.backends.cuda.matmul.allow_tf32
            seen.append((cuda, torch.backends.cudnn.allow_tf32))
            return self.out(x)

    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        data = TensorData(torch.randn(4, 3), torch.tensor([0, 1, 0, 1]))
        penultimate_features(Watching().eval(), "out", data)
        assert seen == [(False, False)]
        assert torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
