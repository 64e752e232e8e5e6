"""The released analysis: its batch weights, and points where it has nothing to say."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscape.analyses import spectrum_saddle as released
from landscape.analyses.spectrum_saddle import released_lanczos
from landscape.config import DiagnoseConfig, SpectrumConfig
from landscape.curvature.dense import MatrixOperator, dense
from landscape.curvature.operator import CurvatureOperator
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.errors import InputError
from landscape.subject.loss import Loss, cross_entropy
from landscape.subject.subject import Subject
from tests.landscape.references import double_operator_of, probe, rotated
from tests.oracles import dense_hessian, mlp, softmax_regression, toy_data

WEIGHTS = torch.tensor([0.2, 1.0, 5.0], dtype=torch.float64)
DATA = toy_data((3,), (9, 6, 5))


def weighted(model, data=DATA):
    return Subject(model, data, cross_entropy(class_weights=WEIGHTS))


def test_class_weights_are_averaged_batch_by_batch(monkeypatch):
    """Against autograd of the released loss: each batch's weighted mean, by the batches' sizes."""
    monkeypatch.setattr(released, "BATCH_SIZE", 8)
    model = mlp(outputs=3)
    subject = weighted(model)
    selection = released.released_selection(subject, subject.scopes(("overall",))[0])
    order = selection.indices

    def loss_of(outputs):
        parts = zip(outputs.split(8), DATA.labels[order].split(8), strict=True)
        means = [len(y) * F.cross_entropy(out, y, weight=WEIGHTS) for out, y in parts]
        return sum(means) / len(order)

    expected = dense_hessian(model, loss_of, DATA.inputs[order])
    found = dense(CurvatureOperator(subject, selection, dtype=torch.float64))
    assert torch.allclose(found, expected, atol=1e-12)
    whole = subject.select(subject.scopes(("overall",))[0])
    exact = dense(CurvatureOperator(subject, whole, dtype=torch.float64))
    assert (found - exact).abs().max() > 0.01 * exact.abs().max()


def test_class_weights_cancel_in_a_batch_of_one_class():
    subject = weighted(mlp(outputs=3))
    selection = released.released_selection(subject, subject.scopes(("class/2",))[0])
    assert selection.weights.tolist() == pytest.approx([1 / 5] * 5)


def test_fewer_samples_keep_the_shares_of_the_classes():
    subject = Subject(mlp(outputs=3), DATA)
    selection = released.released_selection(subject, subject.scopes(("overall",))[0], 3)
    assert selection.weights.reshape(3, 3).sum(dim=1).tolist() == pytest.approx([0.45, 0.3, 0.25])
    found = released.released_spectrum(subject, scopes=("overall",), samples_per_class=3)
    assert found.samples.tolist() == [9]


def test_the_precision_asked_for_is_used(monkeypatch):
    asked = []
    build = released.CurvatureOperator
    monkeypatch.setattr(
        released, "CurvatureOperator", lambda *a, **k: asked.append(k["dtype"]) or build(*a, **k)
    )
    subject = Subject(mlp(outputs=3), DATA)
    released.released_spectrum(subject, scopes=("class/2",), dtype=torch.float64)
    assert asked == [torch.float64]


def test_a_hessian_of_zero_has_a_trace_without_an_error():
    model = nn.Linear(3, 3).double()
    with torch.no_grad():
        model.weight.zero_()
        model.bias.copy_(torch.tensor([1e4, 0.0, 0.0]))
    subject = Subject(model, toy_data((3,), (5, 5, 5)))
    found = released.released_spectrum(subject, scopes=("class/0",))
    assert found.trace.tolist() == [0.0]
    assert np.isnan(found.trace_sem).all()
    assert found.lambda_min.tolist() == found.lambda_max.tolist() == [0.0]
    assert np.isnan(found.ritz_values).sum() == 0


def test_one_step_on_a_matrix():
    found = released.released_lanczos(MatrixOperator(3 * torch.eye(4)), torch.ones(4), 1)
    assert float(found.values[0]) == pytest.approx(3, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"spectrum": SpectrumConfig(curvature="ggn")}, "curvature"),
        ({"spectrum": SpectrumConfig(trace_probes=4)}, "trace_probes"),
        ({"bn": "batch"}, "bn"),
        ({"batch_size": 64}, "batch_size"),
    ],
)
def test_settings_it_has_of_its_own_are_refused(options, field):
    with pytest.raises(InputError, match=f"{field} is given, and protocol saddle has its own"):
        DiagnoseConfig(protocol="saddle", **options).check()


@pytest.mark.parametrize("scale", [1e-4, 1e-5, 1e-6])
def test_a_convex_problem_turns_negative_in_the_released_recurrence_alone(scale):
    """PyHessian adds 1e-6 to norms, which moves small spectra below zero."""
    subject, _ = softmax_regression(samples=120, features=6)
    scaled = Loss(lambda out, y: scale * F.cross_entropy(out, y, reduction="none"))
    operator = double_operator_of(Subject(subject.model, subject.data, scaled))
    theirs = released_lanczos(operator, probe(operator)[:, 0], 18)
    assert float(theirs.values[0] / theirs.values[-1]) < -0.005
    ours = operator_spectrum(operator, SpectrumConfig(), torch.Generator().manual_seed(0))
    assert ours.low.value / ours.high.value >= -1e-12


def test_the_released_recurrence_is_right_on_a_fixed_matrix():
    """Its errors come from its data and its shift, not from how it is written here."""
    exact = np.r_[-3.0, np.linspace(-0.5, 0.5, 60), 8.0, 20.0]
    operator = MatrixOperator(rotated(exact))
    found = released_lanczos(operator, probe(operator)[:, 0], 40)
    assert float(found.values[-1]) == pytest.approx(20, rel=1e-3)
    assert float(found.values[0]) == pytest.approx(-3, rel=1e-3)
