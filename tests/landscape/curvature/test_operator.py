"""The Hessian operator against dense autograd and closed forms, float64."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscape.curvature.dense import dense
from landscape.curvature.operator import CurvatureOperator
from landscape.subject.data import TensorData
from landscape.subject.loss import Loss, cross_entropy
from landscape.subject.subject import Subject
from tests.oracles import (
    central_differences,
    conv_net,
    dense_hessian,
    mlp,
    softmax_regression,
    toy_data,
)

FLOAT64 = {"dtype": torch.float64}


def operator_of(subject, scope="overall", batch_size=7, samples_per_class=None, **options):
    (resolved,) = subject.scopes((scope,))
    selection = subject.select(resolved, samples_per_class)
    return CurvatureOperator(subject, selection, batch_size=batch_size, **(FLOAT64 | options))


CASES = {
    "mlp": (mlp(outputs=3), toy_data((3,), (9, 5, 3))),
    "conv-batchnorm": (conv_net(), toy_data((1, 4, 4), (9, 5, 3))),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("scope", ["overall", "class/0", "class/2"])
@pytest.mark.parametrize("batch_size", [4, 100])
def test_equals_dense_autograd(case, scope, batch_size):
    model, data = CASES[case]
    model.eval()
    subject = Subject(model, data)
    chosen = slice(None) if scope == "overall" else data.labels == int(scope[-1])
    targets = data.labels[chosen]
    exact = dense_hessian(model, lambda out: F.cross_entropy(out, targets), data.inputs[chosen])
    found = dense(operator_of(subject, scope, batch_size))
    assert (found - exact).abs().max() <= 1e-10 * exact.abs().max()


def test_softmax_regression_closed_form():
    subject, exact = softmax_regression()
    assert torch.allclose(dense(operator_of(subject)), exact, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    "loss",
    [
        cross_entropy(class_weights=torch.tensor([0.05, 1.0, 4.0])),
        cross_entropy(ignore_index=1),
        cross_entropy(label_smoothing=0.1),
        cross_entropy(logit_factor=0.5),
        cross_entropy(class_weights=torch.tensor([0.05, 1.0, 4.0]), ignore_index=0),
    ],
    ids=["class weights", "ignore_index", "label smoothing", "logit factor", "both"],
)
def test_weighted_losses_are_normalised_over_the_scope_not_the_batch(loss):
    model, data = CASES["mlp"]
    weight = torch.ones(3) if loss.class_weights is None else loss.class_weights
    ignored = -100 if loss.ignore_index is None else loss.ignore_index

    def full_batch(out):
        each = loss.criterion(out, data.labels)
        w = weight.double()[data.labels] * (data.labels != ignored)
        return (each * w).sum() / w.sum()

    exact = dense_hessian(model, full_batch, data.inputs)
    found = dense(operator_of(Subject(model, data, loss), batch_size=5))
    assert (found - exact).abs().max() <= 1e-10 * exact.abs().max()


def test_class_weighted_reference_is_torchs_own_weighted_mean():
    model, data = CASES["mlp"]
    weight = torch.tensor([0.05, 1.0, 4.0]).double()
    exact = dense_hessian(
        model, lambda out: F.cross_entropy(out, data.labels, weight=weight), data.inputs
    )
    found = dense(operator_of(Subject(model, data, cross_entropy(class_weights=weight))))
    assert (found - exact).abs().max() <= 1e-10 * exact.abs().max()


@pytest.mark.parametrize("ignored", [-100, 2])
def test_ignored_targets_are_neither_summed_nor_counted(ignored):
    model, data = CASES["mlp"]
    targets = data.labels.clone()
    targets[::3] = ignored
    exact = dense_hessian(
        model, lambda out: F.cross_entropy(out, targets, ignore_index=ignored), data.inputs
    )
    loss = cross_entropy() if ignored == -100 else cross_entropy(ignore_index=ignored)
    subject = Subject(model, TensorData(data.inputs, data.labels, targets), loss)
    found = dense(operator_of(subject, batch_size=5))
    assert (found - exact).abs().max() <= 1e-10 * exact.abs().max()


def test_soft_labels():
    model, data = CASES["mlp"]
    soft = torch.rand(len(data.labels), 3, dtype=torch.float64).softmax(dim=1)
    exact = dense_hessian(model, lambda out: F.cross_entropy(out, soft), data.inputs)
    found = dense(operator_of(Subject(model, TensorData(data.inputs, data.labels, soft))))
    assert (found - exact).abs().max() <= 1e-10 * exact.abs().max()


def test_class_hessians_add_up_to_the_whole():
    model, data = CASES["conv-batchnorm"]
    subject = Subject(model, data)
    shares = torch.bincount(data.labels).double() / len(data.labels)
    parts = sum(shares[c] * dense(operator_of(subject, f"class/{c}")) for c in range(3))
    whole = dense(operator_of(subject))
    assert (parts - whole).abs().max() <= 1e-12 * whole.abs().max()


def test_a_draw_keeps_the_true_class_frequencies():
    model, data = CASES["mlp"]
    subject = Subject(model, data)
    shares = torch.bincount(data.labels).double() / len(data.labels)
    drawn = dense(operator_of(subject, samples_per_class=3))
    parts = sum(
        shares[c] * dense(operator_of(subject, f"class/{c}", samples_per_class=3)) for c in range(3)
    )
    assert (parts - drawn).abs().max() <= 1e-12 * drawn.abs().max()


def test_frozen_and_unused_parameters():
    class Partly(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp(outputs=3)
            self.unused = nn.Parameter(torch.ones(4, dtype=torch.float64))
            self.net[0].weight.requires_grad_(False)

        def forward(self, x):
            return self.net(x)

    data = toy_data((3,), (9, 5, 3))
    found = dense(operator_of(Subject(Partly(), data)))
    whole = dense(operator_of(Subject(mlp(outputs=3), data)))
    kept = torch.arange(15, len(whole))  # without the 15 weights of the first layer
    assert len(found) == len(kept) + 4
    assert torch.equal(found[:4], torch.zeros(4, len(found), dtype=torch.float64))
    assert torch.allclose(found[4:, 4:], whole[kept][:, kept], rtol=1e-10, atol=1e-15)


def test_a_loss_linear_in_the_parameters_has_a_zero_hessian():
    model = nn.Linear(3, 1).double()
    data = toy_data((3,), (4, 4))
    subject = Subject(model, data, Loss(lambda out, _: out[:, 0]))
    assert not dense(operator_of(subject)).any()


def test_batch_mode_uses_batch_statistics_and_leaves_the_running_ones():
    model, data = conv_net(), CASES["conv-batchnorm"][1]
    before = {k: v.clone() for k, v in model.state_dict().items()}
    found = dense(operator_of(Subject(model, data), batch_size=100, bn="batch"))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    # not torch.func: its forward mode is wrong for BatchNorm without running statistics
    exact = central_differences(
        conv_net().train(), lambda out: F.cross_entropy(out, data.labels), data.inputs
    )
    assert (found - exact).abs().max() <= 1e-8 * exact.abs().max()


def test_symmetric_and_independent_of_batch_size():
    model, data = CASES["conv-batchnorm"]
    matrices = [dense(operator_of(Subject(model, data), batch_size=b)) for b in (1, 5, 17)]
    for matrix in matrices:
        assert (matrix - matrix.T).abs().max() <= 1e-14 * matrix.abs().max() * len(matrix)
        assert (matrix - matrices[0]).abs().max() <= 1e-13 * matrix.abs().max()


def test_gradient_and_loss():
    model, data = CASES["mlp"]
    operator = operator_of(Subject(model, data), batch_size=4)
    loss, gradient = operator.loss_and_gradient()
    exact = F.cross_entropy(model(data.inputs), data.labels)
    parts = torch.autograd.grad(exact, list(model.parameters()))
    assert loss == pytest.approx(exact.item(), rel=1e-12)
    assert torch.allclose(gradient, torch.cat([p.flatten() for p in parts]), rtol=1e-10)


def test_two_operators_in_a_row_are_independent():
    model, data = CASES["mlp"]
    alone = dense(operator_of(Subject(model, data), "class/1"))
    operator_of(Subject(model, data), "class/0").matmat(torch.ones(len(alone), 2).double())
    assert torch.equal(dense(operator_of(Subject(model, data), "class/1")), alone)
