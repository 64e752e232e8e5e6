"""The edge of stability, against steps that are taken and dense references."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscape.analyses.kept_spectra import KeptSpectra
from landscape.analyses.spectrum import spectrum
from landscape.analyses.stability import TrainingStep, stability
from landscape.config import SpectrumConfig, StabilityConfig
from landscape.curvature.operator import CurvatureOperator
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject
from tests.oracles import dense_hessian, mlp, toy_data

CURVATURES = torch.tensor([3.0, 1.0, 0.2]).double()


def diagonal(start=(1.0, 1.0, 1.0)):
    """A loss ½ Σ h_i w_i² of three weights."""

    class Weights(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.tensor(start, dtype=torch.float64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.w

    data = TensorData(torch.ones(2, 3).double(), torch.tensor([0, 1]))
    return Subject(
        Weights(), data, lambda outputs, _: (outputs.square() * CURVATURES).sum(dim=1) / 2
    )


def descended(rate, momentum=0.0, rho=0.0, steps=400):
    """Length of the weights after gradient descent, SAM's where a radius is given."""
    w, velocity = torch.ones(3).double(), torch.zeros(3).double()
    for _ in range(steps):
        gradient = CURVATURES * w
        if rho:
            gradient = CURVATURES * (w + rho * gradient / gradient.norm())
        velocity = momentum * velocity + gradient
        w = w - rate * velocity
    return float(w.norm())


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_gradient_descent_crosses_the_edge_exactly(momentum):
    """Below an edge of 1 it converges, above it diverges."""
    exact = 2 * (1 + momentum) / float(CURVATURES[0])
    for factor, ends in ((0.98, lambda end: end < 1e-2), (1.02, lambda end: end > 1e2)):
        rate = factor * exact
        found = stability(
            diagonal(), StabilityConfig(learning_rate=rate, momentum=momentum), scopes="overall"
        )
        assert found.edge[0] == pytest.approx(factor, rel=1e-9)
        assert found.edge_bracket[0] == pytest.approx([factor, factor], rel=1e-3)
        assert ends(descended(rate, momentum))


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("rho", [0.05, 0.5])
def test_a_step_of_sam_at_its_edge_turns_the_weight_around(rate, rho):
    """Along the steepest direction, w goes to -w where ‖g‖ is that of the edge."""
    top = float(CURVATURES[0])
    # λ + ρ λ²/‖g‖ = 2/η with ‖g‖ = λ w: the weight at which λ is the edge
    weight = rho * top / (2 / rate - top)
    found = stability(
        diagonal((weight, 0.0, 0.0)), StabilityConfig(learning_rate=rate, rho=rho), scopes="overall"
    )
    assert found.sam_threshold == pytest.approx(top, rel=1e-9)
    assert found.sam_threshold < found.threshold
    stepped = weight - rate * top * (weight + rho)
    assert stepped == pytest.approx(-weight, rel=1e-9)


def test_without_a_radius_sam_has_no_edge():
    found = stability(diagonal(), StabilityConfig(learning_rate=0.1), scopes="overall")
    assert math.isnan(found.sam_threshold)
    assert np.isnan(found.escape).all()
    assert "SAM" not in str(found)
    unknown = stability(diagonal(), scopes="overall")
    assert np.isnan(unknown.edge).all()
    assert "no learning rate is known" in str(unknown)
    small = stability(diagonal(), StabilityConfig(learning_rate=0.1, rho=1e-9), scopes="overall")
    assert small.sam_threshold == pytest.approx(small.threshold, rel=1e-6)


def test_settings_take_the_place_of_the_training():
    step = TrainingStep(0.2, 0.9, 0.5, 0.05)
    found = stability(diagonal(), trained=step, scopes="overall")
    assert found.threshold == pytest.approx(2 * 1.9 / 0.2)
    assert found.edge[0] == pytest.approx(3.5 / 19)
    other = stability(diagonal(), StabilityConfig(learning_rate=0.1), trained=step)
    assert (float(other.learning_rate), float(other.momentum)) == (0.1, 0.9)


def test_every_number_is_that_of_dense_autograd():
    model, data = mlp(outputs=3), toy_data((3,), (12, 6, 3))
    later = mlp(1, outputs=3)
    found = stability(
        Subject(model, data),
        StabilityConfig(learning_rate=0.1, rho=0.2),
        following={"epoch_0002": later},
        spectrum=SpectrumConfig(tolerance=0),
    )

    def loss(labels):
        return lambda outputs: F.cross_entropy(outputs, labels)

    def gradient(own):
        value = loss(data.labels[own])(model(data.inputs[own]))
        return torch.cat([g.flatten() for g in torch.autograd.grad(value, model.parameters())])

    every = torch.ones(len(data.labels), dtype=torch.bool)
    _, vectors = torch.linalg.eigh(dense_hessian(model, loss(data.labels), data.inputs))
    whole = gradient(every)
    scopes = {"overall": every} | {f"class/{c}": data.labels == c for c in range(3)}
    for name, own in scopes.items():
        k = found.scope.tolist().index(name)
        own_values = torch.linalg.eigvalsh(
            dense_hessian(model, loss(data.labels[own]), data.inputs[own])
        )
        assert found.lambda_max[k] == pytest.approx(float(own_values[-1]), rel=1e-6)
        assert found.lambda_min[k] == pytest.approx(float(own_values[0]), rel=1e-6)
        assert found.edge[k] == pytest.approx(float(own_values[-1]) * 0.1 / 2, rel=1e-6)
        exact = 0.2 * max(-float(own_values[0]), 0) / float(whole.norm())
        assert found.escape[k] == pytest.approx(exact, rel=1e-6)
        low, high = found.escape_bracket[k]
        assert low <= found.escape[k] * (1 + 1e-9)
        assert found.escape[k] <= high * (1 + 1e-9)
        row = gradient(own)
        for field, at in (("gradient_top", -1), ("gradient_lowest", 0)):
            cosine = float((row @ vectors[:, at]) ** 2 / row.square().sum())
            assert getattr(found, field)[k] == pytest.approx(cosine, rel=1e-5)
    pairs = zip(later.parameters(), model.parameters(), strict=True)
    way = torch.cat([(a - b).detach().flatten() for a, b in pairs])
    for field, at in (("step_top", -1), ("step_lowest", 0)):
        cosine = float((way @ vectors[:, at]) ** 2 / way.square().sum())
        assert float(getattr(found, field)) == pytest.approx(cosine, rel=1e-5)
    assert str(found.next) == "epoch_0002"
    assert float(found.chance) == 1 / len(way)


def test_a_spectrum_of_the_same_command_leaves_no_product_to_make(monkeypatch):
    subject, kept = Subject(mlp(outputs=3), toy_data((3,), (12, 6, 3))), KeptSpectra()
    expected = stability(subject)
    found = spectrum(subject, kept_spectra=kept)
    monkeypatch.setattr(CurvatureOperator, "matmat", None)
    again = stability(subject, kept_spectra=kept)
    assert np.array_equal(again.lambda_max, found.lambda_max)
    assert np.array_equal(again.lambda_max_bracket, found.lambda_max_bracket)
    assert np.array_equal(again.lambda_min_bracket, found.lambda_min_bracket)
    assert np.array_equal(again.gradient_top, expected.gradient_top)
