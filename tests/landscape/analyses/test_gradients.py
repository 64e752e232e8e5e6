"""Class gradients against per-class autograd."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscape.analyses.gradients import Comparison, gradients
from landscape.config import GradientsConfig
from landscape.errors import InputError
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject
from landscape.weight_space.class_gradients import class_gradients, gradients_of
from tests.landscape.analyses.test_surface import everything
from tests.oracles import conv_net, mlp, toy_data

DATA = toy_data((1, 4, 4), (9, 5, 3))


def subject_of(data=DATA, **options):
    return Subject(conv_net().eval(), data, **options)


def autograd(model, data, c):
    members = data.labels == c
    loss = F.cross_entropy(model(data.inputs[members]), data.labels[members])
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])


def cosine(a, b):
    return float(F.cosine_similarity(a, b, dim=0))


def test_class_gradients():
    subject = subject_of()
    found, _ = class_gradients(subject, everything(DATA), dtype=torch.float64, batch_size=4)
    for c in range(3):
        expected = autograd(subject.model, DATA, c)
        assert torch.allclose(found.rows[c], expected, rtol=1e-10, atol=1e-14)


def test_similarity_norms_and_conflicts():
    subject = subject_of()
    found = gradients(subject, dtype=torch.float64, batch_size=4)
    rows = torch.stack([autograd(subject.model, DATA, c) for c in range(3)])
    mean, batch = rows.mean(dim=0), (torch.tensor([9.0, 5, 3]).double() / 17) @ rows
    conflicts = 0
    for i in range(3):
        assert found.norm[i] == pytest.approx(float(rows[i].norm()), rel=1e-9)
        assert found.norm_ratio[i] == pytest.approx(float(rows[i].norm() / mean.norm()), rel=1e-9)
        assert found.similarity_to_mean[i] == pytest.approx(cosine(rows[i], mean), rel=1e-9)
        unit = (rows / rows.norm(dim=1, keepdim=True)).mean(dim=0)
        assert found.similarity_to_unit_mean[i] == pytest.approx(cosine(rows[i], unit), rel=1e-9)
        assert found.similarity_to_batch[i] == pytest.approx(cosine(rows[i], batch), rel=1e-9)
        for j in range(3):
            expected = cosine(rows[i], rows[j])
            assert found.similarity[i, j] == pytest.approx(expected, rel=1e-9, abs=1e-12)
            conflicts += i < j and expected < 0
    assert int(found.conflicts) == conflicts > 0
    assert int(found.pairs) == 3
    assert np.isnan(found.similarity_to_direction).all()


def test_layers():
    subject = subject_of()
    found = gradients(subject, dtype=torch.float64)
    assert found.layer.tolist() == ["0", "1", "5"]
    start = 0
    for k, module in enumerate((subject.model[0], subject.model[1], subject.model[5])):
        stop = start + sum(p.numel() for p in module.parameters())
        rows = [autograd(subject.model, DATA, c)[start:stop] for c in range(2)]
        assert found.layer_similarity[k, 0, 1] == pytest.approx(cosine(*rows), rel=1e-9)
        assert found.layer_norm[k, 0] == pytest.approx(float(rows[0].norm()), rel=1e-9)
        start = stop


def test_dominated_conflicts_by_hand():
    """A long gradient along x, a short one mostly against it, one aside."""
    rows = np.array([[10.0, 0.0], [-1.0, 0.5], [0.0, 1.0]])
    found = Comparison.of(rows @ rows.T, np.ones(3, dtype=bool))
    assert found.conflicts() == (1, 1, 0, 3)
    rows = np.array([[1.0, 0.0], [-0.9, 0.0], [-8.0, 1.0]])
    assert Comparison.of(rows @ rows.T, np.ones(3, dtype=bool)).conflicts() == (2, 1, 1, 3)


def test_a_class_without_samples_is_a_gap():
    data = toy_data((1, 4, 4), (9, 5))
    subject = subject_of(data, class_names=("a", "b", "c"), class_counts=(9, 5, 4))
    found = gradients(subject)
    assert np.isnan(found.similarity[2]).all()
    assert np.isfinite(found.similarity[:2, :2]).all()
    assert int(found.pairs) == 1
    assert found.similarity_to_mean[0] == pytest.approx(
        cosine(
            autograd(subject.model, data, 0),
            autograd(subject.model, data, 0) + autograd(subject.model, data, 1),
        ),
        rel=1e-5,
    )


def test_too_many_gradients_are_refused():
    with pytest.raises(InputError, match=r"gradients of 3 classes .* budget is 1e-09"):
        class_gradients(subject_of(), everything(DATA), memory_budget=1e-9)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_mini_batches(mode):
    subject = subject_of()
    found = gradients(
        subject,
        GradientsConfig(batches=3, mode=mode),
        batch_size=5,
        seed=4,
        dtype=torch.float64,
        direction=follow_mean,
    )
    order = torch.randperm(17, generator=torch.Generator().manual_seed(4))[:15]
    cosines, to_batch = [], []
    for part in order.split(5):
        model = conv_net().train(mode == "train")
        inputs, labels = DATA.inputs[part], DATA.labels[part]
        each = F.cross_entropy(model(inputs), labels, reduction="none")
        rows = {}
        for c in labels.unique().tolist():
            grads = torch.autograd.grad(
                each[labels == c].mean(), list(model.parameters()), retain_graph=True
            )
            rows[c] = torch.cat([g.flatten() for g in grads])
        grads = torch.autograd.grad(each.mean(), list(model.parameters()))
        to_batch.append(cosine(rows[0], torch.cat([g.flatten() for g in grads])))
        if 1 in rows:
            cosines.append(cosine(rows[0], rows[1]))
    assert found.similarity[0, 1] == pytest.approx(np.mean(cosines), rel=1e-9)
    assert found.similarity_std[0, 1] == pytest.approx(np.std(cosines, ddof=1), rel=1e-6)
    assert found.similarity_to_batch[0] == pytest.approx(np.mean(to_batch), rel=1e-9)
    assert int(found.batches) == 3
    assert str(found.mode) == mode
    assert np.isfinite(found.similarity_to_direction).all()


def follow_mean(inputs, labels):
    model = conv_net().eval()
    loss = F.cross_entropy(model(inputs), labels)
    return list(torch.autograd.grad(loss, list(model.parameters())))


def test_running_statistics_are_untouched():
    subject = subject_of()
    before = {k: v.clone() for k, v in subject.model.state_dict().items()}
    gradients(subject, GradientsConfig(batches=2), batch_size=6)
    assert all(torch.equal(v, before[k]) for k, v in subject.model.state_dict().items())


def test_batched_and_looped_backward_agree():
    model = mlp(outputs=3)
    values = model(torch.ones(1, 3, dtype=torch.float64))[0]
    looped = gradients_of(values, list(model.parameters()))
    seeds = torch.eye(3, dtype=torch.float64)
    batched = torch.autograd.grad(
        values, list(model.parameters()), seeds, is_grads_batched=True, retain_graph=True
    )
    assert all(torch.allclose(a, b) for a, b in zip(looped, batched, strict=True))


def test_frozen_parameters_have_no_column():
    subject = subject_of()
    subject.model[0].weight.requires_grad_(False)
    found = gradients(subject)
    assert found.layer.tolist() == ["1", "5"]
    assert isinstance(subject.model, nn.Module)
    assert isinstance(subject.data, TensorData)
