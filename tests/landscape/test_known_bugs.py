"""Faults that other curvature tools have shown; each is a case that must not happen here."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscape.config import SpectrumConfig
from landscape.curvature.density import smoothed_density
from landscape.curvature.lanczos import lanczos, random_probes
from landscape.curvature.matrix import MatrixOperator, dense
from landscape.curvature.operator import CurvatureOperator
from landscape.curvature.released import released_lanczos, released_spectrum, released_trace
from landscape.curvature.solve import operator_spectrum
from landscape.curvature.spectrum import spectrum
from landscape.curvature.trace import deflated_trace
from landscape.errors import InputError
from landscape.loss import Loss
from landscape.subject import Scope, Subject, TensorData
from tests.landscape.test_lanczos import rotated
from tests.oracles import conv_net, dense_hessian, mlp, softmax_regression, toy_data

DATA = toy_data((3,), (9, 5, 3))
FLOAT64 = {"dtype": torch.float64}


def operator_of(subject, **options):
    everything = Scope("overall", tuple(range(subject.num_classes)))
    return CurvatureOperator(subject, subject.select(everything), **(FLOAT64 | options))


def probe(operator, seed=0):
    return random_probes(operator, 1, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scale", [1e-4, 1e-5, 1e-6])
def test_pyhessian_norm_plus_1e6_fabricates_negative_curvature(scale):
    """On a convex problem: the released recurrence turns negative, ours never does."""
    subject, _ = softmax_regression(samples=120, features=6)
    scaled = Loss(lambda out, y: scale * F.cross_entropy(out, y, reduction="none"))
    operator = operator_of(Subject(subject.model, subject.data, scaled))
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
    theirs = released_spectrum(subject, subject.scopes(("overall",)))
    assert theirs.lambda_min[0] / theirs.lambda_max[0] < -0.001
    with pytest.raises(InputError, match="differently the second time"):
        spectrum(subject, subject.scopes(("overall",)), SpectrumConfig())


def test_pyhessian_second_object_adds_to_the_first():
    model = mlp(outputs=3)
    first, second = (Subject(model, toy_data((3,), (6, 6, 6), seed)) for seed in (1, 2))
    alone = dense(operator_of(second))
    dense(operator_of(first))
    assert torch.equal(dense(operator_of(second)), alone)


def test_pyhessian_leaves_the_model_in_eval_mode():
    model = conv_net().train()
    dense(operator_of(Subject(model, toy_data((1, 4, 4), (4, 4, 4)))))
    assert model.training
    assert model[1].training


def test_pyhessian_crashes_on_an_unused_parameter():
    model = mlp(outputs=3)
    model.register_parameter("unused", nn.Parameter(torch.ones(2, dtype=torch.float64)))
    assert dense(operator_of(Subject(model, DATA))).shape == (40, 40)


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


def test_pyhessian_class_weights_are_lost_in_a_one_class_loader():
    """The same fact, stated: within a class a constant weight cancels, across classes it acts."""
    model, weight = mlp(outputs=3), torch.tensor([0.05, 1.0, 4.0]).double()
    loss = Loss(lambda out, y: F.cross_entropy(out, y, reduction="none"), class_weights=weight)
    exact = dense_hessian(
        model, lambda out: F.cross_entropy(out, DATA.labels, weight=weight), DATA.inputs
    )
    found = dense(operator_of(Subject(model, DATA, loss), batch_size=4))
    assert (found - exact).abs().max() <= 1e-12


def test_eigenthings_two_steps_for_one_eigenpair_look_like_an_answer():
    operator = MatrixOperator(rotated(np.linspace(-1, 2, 60)))
    config = SpectrumConfig(steps=2, probes=1)
    found = operator_spectrum(operator, config, torch.Generator().manual_seed(0))
    assert not found.converged
    assert found.high.bound > 0.1


def test_eigenthings_averages_unequal_batches_as_if_equal():
    model, data = mlp(outputs=3), toy_data((3,), (120, 90, 46))
    exact = dense_hessian(model, lambda out: F.cross_entropy(out, data.labels), data.inputs)
    found = dense(operator_of(Subject(model, data), batch_size=200))
    assert (found - exact).abs().max() <= 1e-12


@pytest.mark.parametrize("length", [1e-3, 1.0, 30.0, 1e3])
def test_eigenthings_finite_differences_depend_on_the_length_of_the_vector(length):
    operator = operator_of(Subject(mlp(outputs=3), DATA))
    v = torch.randn(operator.size, 1, dtype=torch.float64)
    unit = v / v.norm()
    assert torch.allclose(operator.matmat(length * unit), length * operator.matmat(unit))


def test_eigenthings_seed_none_is_always_the_same_vector():
    subject = Subject(mlp(outputs=3), DATA)
    scopes, config = subject.scopes(("overall",)), SpectrumConfig(steps=3, probes=1)
    a, b = (spectrum(subject, scopes, config, seed=s, **FLOAT64) for s in (0, 1))
    assert not np.array_equal(a.ritz_values, b.ritz_values)


def test_eigenthings_products_in_train_mode_change_running_statistics():
    model = conv_net().train()
    before = model[1].running_mean.clone()
    dense(operator_of(Subject(model, toy_data((1, 4, 4), (4, 4, 4))), bn="batch"))
    assert torch.equal(model[1].running_mean, before)


def test_curvlinops_quadrature_shows_many_copies_of_an_outlier():
    exact = np.r_[100, 50, 20, 10, 5, -3, 0.05 * np.random.RandomState(0).randn(1994)]
    operator = MatrixOperator(torch.diag(torch.as_tensor(exact, dtype=torch.float32)))
    (run,) = lanczos(operator, probe(operator), 200)
    values = run.ritz().values.numpy()
    for outlier in exact[:6]:
        assert (np.abs(values - outlier) < 1e-2 * abs(outlier)).sum() == 1


def test_curvlinops_wants_a_loss_module():
    found = operator_of(Subject(mlp(outputs=3), DATA, Loss(lambda out, _: out.pow(2).sum(dim=1))))
    assert dense(found).abs().max() > 0


def test_landscaper_density_has_mass_twenty():
    operator = MatrixOperator(rotated(np.linspace(0, 1, 50)))
    (run,) = lanczos(operator, probe(operator), 20)
    weights = run.ritz().weights
    assert weights.dtype == torch.float64
    assert weights.min() >= 0
    assert float(weights.sum()) == pytest.approx(1, abs=1e-12)


def test_hessformer_evaluates_the_hessian_at_the_vector():
    operator = operator_of(Subject(mlp(outputs=3), DATA))
    u, v = torch.randn(2, operator.size, 1, dtype=torch.float64)
    together = operator.matmat(u + v)
    assert torch.allclose(together, operator.matmat(u) + operator.matmat(v), rtol=1e-9)


def test_the_released_recurrence_is_right_where_the_matrix_stands_still():
    """What it gets wrong it gets wrong by its data and its shift, not by our writing of it."""
    exact = np.r_[-3.0, np.linspace(-0.5, 0.5, 60), 8.0, 20.0]
    operator = MatrixOperator(rotated(exact))
    found = released_lanczos(operator, probe(operator)[:, 0], 40)
    assert float(found.values[-1]) == pytest.approx(20, rel=1e-3)
    assert float(found.values[0]) == pytest.approx(-3, rel=1e-3)
