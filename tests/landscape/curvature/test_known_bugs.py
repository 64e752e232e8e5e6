"""Faults of PyHessian and of the analysis released with it; none may happen here."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscape.analyses.spectrum import spectrum
from landscape.analyses.spectrum_saddle import released_lanczos, released_spectrum, released_trace
from landscape.config import SpectrumConfig
from landscape.curvature.dense import MatrixOperator, dense
from landscape.curvature.lanczos import lanczos
from landscape.curvature.operator import CurvatureOperator
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.curvature.trace import deflated_trace
from landscape.curvature.verdict import verdict
from landscape.errors import InputError
from landscape.results.density import smoothed_density
from landscape.subject.data import TensorData
from landscape.subject.loss import Loss, cross_entropy
from landscape.subject.subject import Subject
from tests.landscape.references import (
    double_operator_of,
    exact_eigenvalues,
    generator,
    probe,
    rotated,
    small_network,
    small_operator,
)
from tests.oracles import conv_net, dense_hessian, mlp, softmax_regression, toy_data

DATA = toy_data((3,), (9, 5, 3))
FLOAT64 = {"dtype": torch.float64}


@pytest.mark.parametrize("scale", [1e-4, 1e-5, 1e-6])
def test_pyhessian_norm_plus_1e6_fabricates_negative_curvature(scale):
    """On a convex problem: the released recurrence turns negative, ours never does."""
    subject, _ = softmax_regression(samples=120, features=6)
    scaled = Loss(lambda out, y: scale * F.cross_entropy(out, y, reduction="none"))
    operator = double_operator_of(Subject(subject.model, subject.data, scaled))
    theirs = released_lanczos(operator, probe(operator)[:, 0], 18)
    assert float(theirs.values[0] / theirs.values[-1]) < -0.005
    ours = operator_spectrum(operator, SpectrumConfig(), torch.Generator().manual_seed(0))
    assert ours.low.value / ours.high.value >= -1e-12


def test_pyhessian_augmentation_redrawn_at_every_product_fabricates_negative_curvature():
    class Redrawn(TensorData):
        def batches(self, indices, batch_size):
            for inputs, targets in super().batches(indices, batch_size):
                yield inputs + 0.3 * torch.randn(inputs.shape, dtype=inputs.dtype), targets

    torch.manual_seed(0)
    convex, _ = softmax_regression(samples=120, features=6)
    subject = Subject(convex.model, Redrawn(convex.data.inputs, convex.data.labels))
    theirs = released_spectrum(subject, scopes="overall")
    assert theirs.lambda_min[0] / theirs.lambda_max[0] < -0.001
    with pytest.raises(InputError, match="differently the second time"):
        spectrum(subject, SpectrumConfig(), scopes="overall")


def test_pyhessian_second_object_adds_to_the_first():
    model = mlp(outputs=3)
    first, second = (Subject(model, toy_data((3,), (6, 6, 6), seed)) for seed in (1, 2))
    alone = dense(double_operator_of(second))
    dense(double_operator_of(first))
    assert torch.equal(dense(double_operator_of(second)), alone)


def test_pyhessian_leaves_the_model_in_eval_mode():
    model = conv_net().train()
    dense(double_operator_of(Subject(model, toy_data((1, 4, 4), (4, 4, 4)))))
    assert model.training
    assert model[1].training


def test_pyhessian_crashes_on_an_unused_parameter():
    model = mlp(outputs=3)
    model.register_parameter("unused", nn.Parameter(torch.ones(2, dtype=torch.float64)))
    assert dense(double_operator_of(Subject(model, DATA))).shape == (40, 40)


def test_pyhessian_trace_stops_at_once_for_a_negative_mean():
    operator = MatrixOperator(rotated(-np.linspace(0.5, 3, 60)))
    assert len(released_trace(operator, torch.Generator().manual_seed(0))) > 1
    generator = torch.Generator().manual_seed(0)
    (krylov,) = lanczos(operator, probe(operator), 10)
    found = deflated_trace(operator, krylov, 16, generator)
    assert abs(found.value + 105) <= 4 * found.sem


def test_pyhessian_smoothing_moves_mass_to_the_negative_axis_of_small_spectra():
    values, weights = np.linspace(-0.2, 1, 8)[None], np.full((1, 8), 1 / 8)
    shares = []
    for scale in (1.0, 1e-4, 1e4):
        d = smoothed_density(values * scale, weights)
        negative = d.grid < 0
        shares.append(np.trapezoid(d.mean[negative], d.grid[negative]))
    assert shares == pytest.approx([0.25] * 3, abs=0.01)


def test_pyhessian_returns_an_eigenvalue_one_iteration_old():
    """The value is the Rayleigh quotient of the vector whose residual is given."""
    exact = np.r_[5.0, 4.9, np.linspace(0, 1, 40)]
    operator = MatrixOperator(rotated(exact))
    found = operator_spectrum(
        operator, SpectrumConfig(steps=6, probes=1), torch.Generator().manual_seed(0)
    )
    assert np.abs(exact - found.high.value).min() <= found.high.residual
    assert found.high.value <= 5.0 + 1e-12


@pytest.mark.parametrize("scale", [1e-5, 1e-6])
def test_pyhessian_turns_a_ratio_of_a_two_hundredth_into_a_saddle_at_a_small_loss(scale):
    """An MLP with λmin / λmax = -0.0055, float32."""
    exact = exact_eigenvalues()
    ratio = exact[0] / exact[-1]
    operator = small_operator(scale=scale)
    theirs = released_lanczos(operator, probe(operator)[:, 0])
    assert theirs.values[0] / theirs.values[-1] < -0.1
    ours = operator_spectrum(operator, SpectrumConfig(), generator())
    assert ours.low.value / ours.high.value == pytest.approx(ratio, abs=1e-3)
    assert ours.high.value / scale == pytest.approx(exact[-1], rel=1e-5)
    bounds = ours.low.bound, ours.high.bound
    assert verdict(ours.low.value, bounds[0], ours.high.value, bounds[1]) == "minimum"


def test_pyhessian_trace_tolerance_is_no_error_bound():
    """Its stop at 1e-3 leaves errors above a tenth; ours come with a standard error that holds."""
    exact = exact_eigenvalues().sum()
    theirs = [np.mean(released_trace(small_operator(), generator(seed))) for seed in range(10)]
    assert np.abs(np.array(theirs) / exact - 1).max() > 0.1
    for seed in range(10):
        found = operator_spectrum(small_operator(), SpectrumConfig(), generator(seed)).trace
        assert abs(found.value - exact) <= 4 * found.sem
        assert found.sem <= 0.02 * exact


def test_pyhessian_head_gives_complex_weights():
    subject = Subject(*small_network())
    config = SpectrumConfig(steps=20, trace_probes=0)
    found = spectrum(subject, config, scopes="overall")
    assert found.ritz_values.dtype == found.ritz_weights.dtype == np.float64
    assert found.ritz_weights.min() >= 0
    assert found.ritz_weights.sum(axis=-1) == pytest.approx(np.ones((1, 2)))
    assert smoothed_density(found.ritz_values[0], found.ritz_weights[0]).mean.dtype == np.float64


class Watched(nn.Module):
    """Counts its forward passes."""

    def __init__(self):
        super().__init__()
        self.layer, self.passes = nn.Linear(3, 3).double(), 0

    def forward(self, x):
        self.passes += 1
        return self.layer(x)


def test_pyhessian_keeps_a_graph_in_grad_although_nothing_was_asked():
    model = Watched()
    operator = double_operator_of(Subject(model, DATA))
    assert operator._model.passes == 0
    operator.matmat(probe(operator))
    operator.loss_and_gradient()
    for p in (*model.parameters(), *operator.parameters):
        assert p.grad is None
    assert model.passes == 0


WEIGHTS = torch.tensor([0.05, 1.0, 4.0]).double()


def averaged_per_batch(model, criterion, size):
    """What tools do: the mean of each batch, weighed by its number of samples."""
    parts = []
    for inputs, labels in zip(DATA.inputs.split(size), DATA.labels.split(size), strict=True):
        batch = dense_hessian(model, lambda out, labels=labels: criterion(out, labels), inputs)
        parts.append(batch * len(labels) / len(DATA.labels))
    return sum(parts)


def test_every_tool_averages_class_weights_per_batch():
    model = mlp(outputs=3)

    def criterion(out, y):
        return F.cross_entropy(out, y, weight=WEIGHTS)

    exact = dense_hessian(model, lambda out: criterion(out, DATA.labels), DATA.inputs)
    theirs = averaged_per_batch(model, criterion, 4)
    assert (theirs - exact).norm() > 0.1 * exact.norm()
    subject = Subject(model, DATA, cross_entropy(class_weights=WEIGHTS))
    found = dense(double_operator_of(subject, batch_size=4))
    assert (found - exact).abs().max() <= 1e-12


def test_class_weights_cancel_in_a_one_class_loader_and_count_in_the_whole():
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


def test_the_released_recurrence_is_right_where_the_matrix_stands_still():
    """What it gets wrong it gets wrong by its data and its shift, not by our writing of it."""
    exact = np.r_[-3.0, np.linspace(-0.5, 0.5, 60), 8.0, 20.0]
    operator = MatrixOperator(rotated(exact))
    found = released_lanczos(operator, probe(operator)[:, 0], 40)
    assert float(found.values[-1]) == pytest.approx(20, rel=1e-3)
    assert float(found.values[0]) == pytest.approx(-3, rel=1e-3)
