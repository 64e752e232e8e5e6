"""Class gradients against per-class autograd."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscape.analyses.gradient_noise import gradient_noise
from landscape.analyses.gradients import Comparison, gradients
from landscape.config import GradientsConfig
from landscape.errors import InputError
from landscape.subject.batch import Batch
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject
from landscape.weight_space import class_gradients as class_module
from landscape.weight_space import inner_products as products_module
from landscape.weight_space.class_gradients import (
    class_gradients,
    column_blocks,
    gradients_of,
    model_over,
)
from landscape.weight_space.inner_products import inner_products, products_of_batch
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


class Staged(nn.Module):
    """A backbone whose last stage is called as the classifier is, and a neck between them."""

    def __init__(self):
        super().__init__()
        self.backbone, self.neck = mlp(0, 6, 8, 8), nn.Linear(8, 8).double()
        self.backbone.fc = nn.Linear(8, 8).double()
        self.fc = mlp(1, 8, 4, 3)

    def forward(self, x):
        return self.fc(torch.tanh(self.neck(torch.tanh(self.backbone(x)))))


def test_layers_of_one_name_are_counted_once():
    data, model = toy_data((6,), (9, 5, 3)), Staged()
    rows = torch.stack([autograd(model, data, c) for c in range(3)])
    subject = Subject(model, data)
    found, noise = gradients(subject), gradient_noise(subject)
    assert found.layer.tolist() == ["0", "2", "backbone.fc", "neck", "fc"]
    assert noise.layer.tolist() == found.layer.tolist()
    for norm in (found.norm, noise.norm):
        assert norm == pytest.approx(rows.norm(dim=1).numpy(), rel=1e-9)
    sizes = [6 * 8 + 8, 8 * 8 + 8, 8 * 8 + 8, 8 * 8 + 8, 8 * 4 + 4 + 4 * 3 + 3]
    parts = torch.stack([part.norm(dim=1) for part in rows.split(sizes, dim=1)])
    for norm in (found.layer_norm, noise.layer_norm):
        assert norm == pytest.approx(parts.numpy(), rel=1e-9)
    assert noise.layer_noise.sum(axis=0) == pytest.approx(noise.noise, rel=1e-9)
    assert noise.noise == pytest.approx(exact_noise(model, data), rel=1e-9)
    assert found.similarity[0, 1] == pytest.approx(cosine(rows[0], rows[1]), rel=1e-9)


def exact_noise(model, data):
    """Trace of the covariance of each class's gradients, one backward pass a sample."""
    found = []
    for c in range(3):
        members = TensorData(data.inputs[data.labels == c], data.labels[data.labels == c])
        each = [
            autograd(model, TensorData(x[None], y[None]), c)
            for x, y in zip(members.inputs, members.labels, strict=True)
        ]
        found.append(float(torch.stack(each).var(dim=0).sum()))
    return found


def test_a_parameter_called_backbone_is_a_layer():
    data = toy_data((6,), (9, 5, 3))
    found = gradients(Subject(WithBackbone(), data))
    assert found.layer.tolist() == ["backbone"]
    assert found.layer_norm[0] == pytest.approx(found.norm, rel=1e-12)


class WithBackbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Parameter(torch.linspace(-1, 1, 18).double().view(6, 3))

    def forward(self, x):
        return x @ self.backbone


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


def dense_products(data=DATA):
    """Inner products of each class's gradient by autograd, of all columns and of each layer's."""
    model = conv_net().eval()
    rows = torch.stack([autograd(model, data, c) for c in range(3)])
    sizes = [sum(p.numel() for p in model[k].parameters()) for k in (0, 1, 5)]
    return rows, [part @ part.T for part in (rows, *rows.split(sizes, dim=1))]


@pytest.mark.parametrize("columns", [1, 4, 10, 100])
@pytest.mark.parametrize("batch_size", [4, 100])
def test_blocks_of_columns_give_the_inner_products_of_whole_gradients(columns, batch_size):
    """72 columns of three parameters and more: a block may end within a parameter."""
    budget = (columns * (3 * 8 + class_module._WORKING) + 1) / 2**30
    _, expected = dense_products()
    found = inner_products(
        subject_of(),
        everything(DATA),
        dtype=torch.float64,
        batch_size=batch_size,
        memory_budget=budget,
    )
    for mine, exact in zip((found.whole, *found.layers.values()), expected, strict=True):
        assert np.abs(mine - exact.numpy()).max() <= 1e-12 * exact.abs().max()
    blocks = column_blocks(3, list(conv_net().parameters()), budget)
    assert [b.start for b in blocks[1:]] == [b.stop for b in blocks[:-1]]
    assert max(b.stop - b.start for b in blocks) <= columns


@pytest.mark.parametrize("batches", [0, 2])
def test_an_analysis_in_blocks_is_the_analysis(batches, monkeypatch):
    widths, split = [], products_module.column_blocks
    monkeypatch.setattr(
        products_module, "column_blocks", lambda *a: widths.append(split(*a)) or widths[-1]
    )
    budget = 20 * (3 * 8 + class_module._WORKING) / 2**30
    whole, parts = (
        gradients(
            subject_of(),
            GradientsConfig(batches=batches, memory_budget=gib),
            batch_size=9,
            dtype=torch.float64,
        )
        for gib in (8.0, budget)
    )
    assert len(widths[0]) == 1
    assert len(widths[-1]) > 1
    for name in ("similarity", "norm", "norm_ratio", "layer_similarity", "loss"):
        mine, exact = getattr(parts, name), getattr(whole, name)
        assert np.allclose(mine, exact, rtol=1e-12, atol=1e-14, equal_nan=True), name


@pytest.mark.parametrize("columns", [5, 1000])
def test_products_with_a_direction(columns):
    model, _ = model_over(subject_of(), ("*",), torch.float64, "eval")
    rows, (expected, *_) = dense_products()
    direction = torch.linspace(-1, 1, rows.shape[1], dtype=torch.float64)
    found = products_of_batch(
        subject_of(),
        model,
        Batch(DATA.inputs, DATA.labels),
        DATA.labels,
        direction=direction,
        memory_budget=columns * (3 * 8 + class_module._WORKING) / 2**30,
    )
    assert found.along == pytest.approx((rows @ direction).numpy(), rel=1e-12)
    assert np.abs(found.whole - expected.numpy()).max() <= 1e-12 * expected.abs().max()
    assert found.samples.tolist() == [9, 5, 3]


def test_a_gram_matrix_of_more_rows_than_a_band_is_symmetric_and_exact():
    rows = torch.randn(300, 50, generator=torch.Generator().manual_seed(0))
    found, exact = products_module.gram(rows), (rows.double() @ rows.double().T).numpy()
    assert np.array_equal(found, found.T)
    assert np.abs(found - exact).max() < 1e-12


def test_a_parameter_that_is_not_used_has_no_gradient_in_any_block():
    subject = subject_of()
    subject.model.register_parameter("unused", nn.Parameter(torch.ones(20, dtype=torch.float64)))
    whole = gradients(subject_of(), dtype=torch.float64)
    budget = 8 * (3 * 8 + class_module._WORKING) / 2**30  # two blocks and a half of it alone
    found = gradients(subject, GradientsConfig(memory_budget=budget), dtype=torch.float64)
    assert found.similarity == pytest.approx(whole.similarity, rel=1e-12)
    assert (found.layer_norm[0] == 0).all()


def test_a_loss_without_a_gradient_is_refused():
    def errors(outputs, targets):
        return (outputs.argmax(dim=1) != targets).double()

    with pytest.raises(InputError, match="the loss has no gradient"):
        gradients(subject_of(loss=errors))


@pytest.mark.parametrize("columns", [5, 1000])
def test_a_class_whose_loss_has_no_gradient_is_refused(columns):
    """Its zeros would pass for a flat loss; the first samples have a gradient."""

    def partly(outputs, targets):
        kept = outputs.detach() if (targets == 2).all() else outputs
        return F.cross_entropy(kept, targets, reduction="none")

    budget = columns * (3 * 8 + class_module._WORKING) / 2**30
    settings = GradientsConfig(memory_budget=budget)
    with pytest.raises(InputError, match="the loss has no gradient"):
        gradients(subject_of(loss=partly), settings, dtype=torch.float64)


def test_a_block_passes_over_the_data_once():
    """Not once for each class: every reading may start worker processes."""
    calls = []

    class Counted(TensorData):
        def batches(self, indices, batch_size):
            calls.append(len(indices))
            return super().batches(indices, batch_size)

    subject = subject_of(Counted(DATA.inputs, DATA.labels))
    inner_products(subject, everything(DATA), dtype=torch.float64)
    assert [count for count in calls if count > 8] == [17]  # beside a few, for checks


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
