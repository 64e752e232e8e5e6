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
from tests.landscape.references import double_operator_of, probe
from tests.oracles import (
    central_differences,
    conv_net,
    dense_hessian,
    mlp,
    softmax_regression,
    toy_data,
)

FLOAT64 = {"dtype": torch.float64}
DATA = toy_data((3,), (9, 5, 3))
WEIGHTS = torch.tensor([0.05, 1.0, 4.0]).double()


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


class Watched(nn.Module):
    """Counts its forward passes."""

    def __init__(self):
        super().__init__()
        self.layer, self.passes = nn.Linear(3, 3).double(), 0

    def forward(self, x):
        self.passes += 1
        return self.layer(x)


def averaged_per_batch(model, criterion, size):
    """What tools do: the mean of each batch, weighed by its number of samples."""
    parts = []
    for inputs, labels in zip(DATA.inputs.split(size), DATA.labels.split(size), strict=True):
        batch = dense_hessian(model, lambda out, labels=labels: criterion(out, labels), inputs)
        parts.append(batch * len(labels) / len(DATA.labels))
    return sum(parts)


def test_a_second_operator_does_not_add_to_the_first():
    """PyHessian accumulates in the model's ``grad``."""
    model = mlp(outputs=3)
    first, second = (Subject(model, toy_data((3,), (6, 6, 6), seed)) for seed in (1, 2))
    alone = dense(double_operator_of(second))
    dense(double_operator_of(first))
    assert torch.equal(dense(double_operator_of(second)), alone)


def test_the_model_stays_in_training_mode():
    """PyHessian leaves it in eval mode."""
    model = conv_net().train()
    dense(double_operator_of(Subject(model, toy_data((1, 4, 4), (4, 4, 4)))))
    assert model.training
    assert model[1].training


def test_an_unused_parameter_is_counted():
    """PyHessian crashes on one."""
    model = mlp(outputs=3)
    model.register_parameter("unused", nn.Parameter(torch.ones(2, dtype=torch.float64)))
    assert dense(double_operator_of(Subject(model, DATA))).shape == (40, 40)


def test_building_an_operator_runs_nothing_and_leaves_no_gradient():
    """PyHessian runs the model at once and keeps a graph in ``grad``."""
    model = Watched()
    operator = double_operator_of(Subject(model, DATA))
    assert operator._model.passes == 0
    operator.matmat(probe(operator))
    operator.loss_and_gradient()
    for p in (*model.parameters(), *operator.parameters):
        assert p.grad is None
    assert model.passes == 0


def test_class_weights_are_averaged_over_all_samples():
    """PyHessian, curvlinops and hessian-eigenthings average them batch by batch."""
    model = mlp(outputs=3)

    def criterion(out, y):
        return F.cross_entropy(out, y, weight=WEIGHTS)

    exact = dense_hessian(model, lambda out: criterion(out, DATA.labels), DATA.inputs)
    theirs = averaged_per_batch(model, criterion, 4)
    assert (theirs - exact).norm() > 0.1 * exact.norm()
    subject = Subject(model, DATA, cross_entropy(class_weights=WEIGHTS))
    found = dense(double_operator_of(subject, batch_size=4))
    assert (found - exact).abs().max() <= 1e-12


def test_class_weights_cancel_within_a_class_and_count_in_the_whole():
    """H_c is the mean over the class, whatever its weight; H weighs them by w_c n_c, stated."""
    model = mlp(outputs=3)
    subject = Subject(model, DATA, cross_entropy(class_weights=WEIGHTS))
    parts = []
    for scope in subject.scopes(("classes",)):
        selection = subject.select(scope)
        assert float(selection.weights.sum()) == pytest.approx(1)
        parts.append(dense(CurvatureOperator(subject, selection, batch_size=4, **FLOAT64)))
        members = DATA.labels == scope.classes[0]
        exact = dense_hessian(
            model,
            lambda out, y=DATA.labels[members]: F.cross_entropy(out, y),
            DATA.inputs[members],
        )
        assert (parts[-1] - exact).abs().max() <= 1e-12
    shares = WEIGHTS * torch.bincount(DATA.labels)
    whole = sum(share * part for share, part in zip(shares / shares.sum(), parts, strict=True))
    assert (dense(double_operator_of(subject)) - whole).abs().max() <= 1e-12


def test_unequal_batches_count_by_their_samples():
    """hessian-eigenthings averages them as if they were equal."""
    model, data = mlp(outputs=3), toy_data((3,), (120, 90, 46))
    exact = dense_hessian(model, lambda out: F.cross_entropy(out, data.labels), data.inputs)
    found = dense(double_operator_of(Subject(model, data), batch_size=200))
    assert (found - exact).abs().max() <= 1e-12


@pytest.mark.parametrize("length", [1e-3, 1.0, 30.0, 1e3])
def test_a_product_is_homogeneous_in_the_vector(length):
    """hessian-eigenthings' finite differences depend on its length."""
    operator = double_operator_of(Subject(mlp(outputs=3), DATA))
    v = torch.randn(operator.size, 1, dtype=torch.float64)
    unit = v / v.norm()
    assert torch.allclose(operator.matmat(length * unit), length * operator.matmat(unit))


@pytest.mark.parametrize("curvature", ["hessian", "ggn", "difference"])
def test_an_unused_parameter_has_rows_of_zeros(curvature):
    """hessian-eigenthings crashes on one."""
    model, plain = mlp(outputs=3), Subject(mlp(outputs=3), DATA)
    model.register_parameter("unused", nn.Parameter(torch.ones(2, dtype=torch.float64)))
    found = dense(double_operator_of(Subject(model, DATA), curvature=curvature))
    assert not found[:2].any()  # a module's own parameters come first
    exact = dense(double_operator_of(plain, curvature=curvature))
    assert (found[2:, 2:] - exact).abs().max() <= 1e-14


@pytest.mark.parametrize("bn", ["eval", "batch"])
def test_products_leave_running_statistics_alone(bn):
    """Those of the user's model and of the copy; hessian-eigenthings changes them in train mode."""
    model = conv_net().train()
    operator = double_operator_of(Subject(model, toy_data((1, 4, 4), (4, 4, 4))), bn=bn)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    first = dense(operator)
    operator.loss_and_gradient()
    for judged in (model, operator._model):
        assert all(torch.equal(v, before[k]) for k, v in judged.state_dict().items())
    assert torch.equal(dense(operator), first)


def test_a_loss_is_any_function():
    """curvlinops takes loss modules alone."""
    found = operator_of(Subject(mlp(outputs=3), DATA, Loss(lambda out, _: out.pow(2).sum(dim=1))))
    assert dense(found).abs().max() > 0


def test_ignored_labels_are_averaged_over_all_samples():
    """Batches of four with unequal counts: curvlinops is 17 % off."""
    model = mlp(outputs=3)

    def criterion(out, y):
        return F.cross_entropy(out, y, ignore_index=1)

    exact = dense_hessian(model, lambda out: criterion(out, DATA.labels), DATA.inputs)
    parts = []
    for inputs, labels in zip(DATA.inputs.split(4), DATA.labels.split(4), strict=True):
        batch = dense_hessian(model, lambda out, labels=labels: criterion(out, labels), inputs)
        parts.append(batch * len(labels) / len(DATA.labels))
    assert (sum(parts) - exact).norm() > 0.05 * exact.norm()
    subject = Subject(model, DATA, cross_entropy(ignore_index=1))
    for batch_size in (4, 100):
        found = dense(operator_of(subject, batch_size=batch_size))
        assert (found - exact).abs().max() <= 1e-12


def test_a_product_is_additive_in_the_vector():
    """HessFormer evaluates the Hessian at the vector."""
    operator = operator_of(Subject(mlp(outputs=3), DATA))
    u, v = torch.randn(2, operator.size, 1, dtype=torch.float64)
    together = operator.matmat(u + v)
    assert torch.allclose(together, operator.matmat(u) + operator.matmat(v), rtol=1e-9)


def test_the_loss_is_the_cross_entropy_and_not_the_mean_logit():
    """HessFormer takes the mean of the logits."""
    model = mlp(outputs=3)
    operator = operator_of(Subject(model, DATA))
    exact = F.cross_entropy(model(DATA.inputs), DATA.labels)
    assert operator.loss_and_gradient()[0] == pytest.approx(exact.item(), rel=1e-12)
    hessian = dense_hessian(model, lambda out: F.cross_entropy(out, DATA.labels), DATA.inputs)
    of_logits = dense_hessian(model, lambda out: out.mean(), DATA.inputs)
    assert (dense(operator) - hessian).abs().max() <= 1e-12
    assert (of_logits - hessian).norm() > 0.5 * hessian.norm()


@pytest.mark.parametrize("options", [{}, {"blocks": True}, {"curvature": "ggn"}, {"bn": "batch"}])
def test_the_operator_of_other_samples_has_their_matrix(options):
    model, data = CASES["conv-batchnorm"]
    subject = Subject(model, data)
    first, second = (subject.select(scope) for scope in subject.scopes(("class/0", "class/1")))
    one = CurvatureOperator(subject, first, batch_size=4, **FLOAT64, **options)
    before = dense(one)
    other = one.on(second)
    expected = dense(CurvatureOperator(subject, second, batch_size=4, **FLOAT64, **options))
    assert torch.equal(dense(other), expected)
    assert torch.equal(dense(one), before)
    assert other.products == one.products // 2
    twin = dense(other.in_float64())  # by half as large batches
    assert (twin - expected).abs().max() <= 1e-12 * expected.abs().max() or options.get("bn")
