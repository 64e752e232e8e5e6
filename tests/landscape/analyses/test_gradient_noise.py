"""Noise of gradients, against least squares in closed form and simulated batches."""

import numpy as np
import pytest
import torch
from torch import nn

from landscape.analyses.gradient_noise import gradient_noise
from landscape.analyses.stability import TrainingStep
from landscape.config import GradientNoiseConfig
from landscape.errors import InputError
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject
from tests.oracles import conv_net, toy_data

EACH = GradientNoiseConfig(parts=10_000)  # micro-batches of one sample


def least_squares(counts=(9, 5, 4), seed=0):
    """½ (w·x - y)² has the gradient (w·x - y) x; those of every sample in closed form."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    inputs = torch.randn(len(labels), 4, generator=generator).double() + labels[:, None]
    targets = torch.randn(len(labels), generator=generator).double()
    model = nn.Linear(4, 1, bias=False).double()
    data = TensorData(inputs, labels, targets)
    subject = Subject(model, data, lambda z, y: (z[:, 0] - y) ** 2 / 2)
    residual = (inputs @ model.weight[0] - targets).detach()
    return subject, (residual[:, None] * inputs).numpy(), labels.numpy()


def test_least_squares_in_closed_form():
    subject, rows, labels = least_squares()
    found = gradient_noise(subject, EACH)
    whole = rows.mean(axis=0)
    for c in range(3):
        own = rows[labels == c]
        trace = own.var(axis=0, ddof=1).sum()
        assert found.noise[c] == pytest.approx(trace, rel=1e-9)
        assert found.norm[c] == pytest.approx(np.linalg.norm(own.mean(axis=0)), rel=1e-9)
        assert found.scale[c] == pytest.approx(trace / (own.mean(axis=0) ** 2).sum(), rel=1e-9)
        assert found.distance[c] == pytest.approx(((own.mean(axis=0) - whole) ** 2).sum(), rel=1e-9)
        assert found.parts[c] == len(own)
    assert float(found.whole_norm) == pytest.approx(np.linalg.norm(whole), rel=1e-9)
    assert found.noise_share.sum() == pytest.approx(1)


def test_noise_within_and_between_classes_is_that_of_all_samples():
    """With the classes' own means and n in place of n - 1 it is the law of total variance."""
    subject, rows, labels = least_squares((40, 30, 10))
    found = gradient_noise(subject, EACH)
    counts = np.bincount(labels)
    within = found.share @ (found.noise * (counts - 1) / counts)
    total = within + found.share @ found.distance
    assert total == pytest.approx(rows.var(axis=0).sum(), rel=1e-9)


def test_micro_batches_are_unbiased_and_their_error_is_right():
    subject, rows, labels = least_squares((200, 60), seed=1)
    exact = [rows[labels == c].var(axis=0, ddof=1).sum() for c in (0, 1)]
    draws = [gradient_noise(subject, GradientNoiseConfig(parts=10), seed=s) for s in range(40)]
    for c in (0, 1):
        values = np.array([one.noise[c] for one in draws])
        spread = values.std(ddof=1)
        assert abs(values.mean() - exact[c]) < 4 * spread / np.sqrt(len(values))
        assert 0.5 * spread < np.mean([one.noise_sem[c] for one in draws]) < 2 * spread


class Sevens(TensorData):
    """Comes in batches of its own."""

    def batches(self, indices, batch_size):
        del batch_size
        return super().batches(indices, 7)


def test_micro_batches_are_of_the_samples_whatever_batches_they_come_in():
    subject, *_ = least_squares((50, 24))
    settings = GradientNoiseConfig(parts=4)
    whole = gradient_noise(subject, settings)
    data = Sevens(subject.data.inputs, subject.data.labels, subject.data.targets)
    for other, size in ((subject, 5), (subject.on(data), 256)):
        found = gradient_noise(other, settings, batch_size=size)
        assert found.noise == pytest.approx(whole.noise, rel=1e-9)
        assert found.noise_sem == pytest.approx(whole.noise_sem, rel=1e-9)


def test_layers_add_up_to_the_whole():
    data = toy_data((1, 4, 4), (9, 5, 4))
    found = gradient_noise(Subject(conv_net(), data))
    assert found.layer.tolist() == ["0", "1", "5"]
    assert found.layer_noise.sum(axis=0) == pytest.approx(found.noise)
    assert (found.layer_norm**2).sum(axis=0) == pytest.approx(found.norm**2)


def test_a_batch_is_that_of_the_training_or_of_settings():
    subject, *_ = least_squares()
    step = TrainingStep(0.1, batch_size=36)
    found = gradient_noise(subject, trained=step)
    assert found.batch_ratio == pytest.approx(36 * found.share / found.scale)
    assert float(gradient_noise(subject, GradientNoiseConfig(batch=7), trained=step).batch) == 7
    assert np.isnan(gradient_noise(subject).batch_ratio).all()


def test_a_class_of_one_sample_or_none_is_a_gap():
    data = toy_data((1, 4, 4), (9, 1))
    found = gradient_noise(Subject(conv_net(), data, class_names=("a", "b", "c")))
    assert np.isfinite(found.noise[0])
    assert np.isnan(found.noise[1:]).all()
    assert np.isfinite(found.norm[1])
    assert np.isnan(found.norm[2])
    assert found.parts.tolist() == [9, 1, 0]


def test_refusals(monkeypatch):
    subject, *_ = least_squares()
    with pytest.raises(InputError, match="parts is 1; it must be at least 2"):
        gradient_noise(subject, GradientNoiseConfig(parts=1))
    monkeypatch.setattr("landscape.analyses.gradient_noise.free_bytes", lambda _: 10)
    with pytest.raises(InputError, match="gradients of 16 micro-batches over 4 parameters take"):
        gradient_noise(subject)
