"""SAM against its equation, computed step by step."""

import pytest
import torch
from torch import nn

from tests.oracles import Point, Staged, followed, objective_of, toy_data
from trainers.rules.perturbation import frozen_statistics, scheduled
from trainers.rules.sam import SAM
from trainers.rules.sgd import SGD

DATA = toy_data((3,), (6, 4, 2))
MEAN = torch.full((12,), 1 / 12, dtype=torch.float64)


@pytest.mark.parametrize("rho", [0.05, 0.5])
def test_gradient_is_taken_at_the_end_of_the_ascent(rho):
    model = Staged()
    point = Point(model, DATA)
    g = point.gradient(MEAN)
    expected = point.gradient(MEAN, point.w + rho * g / (g.norm() + 1e-12))
    each = SAM(rho)(objective_of(model, DATA))
    assert torch.allclose(followed(model), expected, rtol=1e-12)
    assert torch.equal(nn.utils.parameters_to_vector(model.parameters()), point.w)
    assert torch.allclose(each, point.losses(point.w).detach(), rtol=1e-14)


def test_a_whole_step_with_momentum_and_weight_decay():
    """Weight decay acts at the restored weights only, momentum on the SAM gradient."""
    model, rho, lr, decay = Staged(), 0.1, 0.3, 0.01
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=decay)
    point = Point(model, DATA)
    w, buffer = point.w, torch.zeros_like(point.w)
    for _ in range(3):
        g = point.gradient(MEAN, w)
        buffer = 0.9 * buffer + point.gradient(MEAN, w + rho * g / g.norm()) + decay * w
        w = w - lr * buffer
        optimizer.zero_grad()
        SAM(rho)(objective_of(model, DATA))
        optimizer.step()
    assert torch.allclose(nn.utils.parameters_to_vector(model.parameters()), w, rtol=1e-10)


def test_zero_radius_is_sgd():
    one, other = Staged(), Staged()
    SAM(0.0)(objective_of(one, DATA))
    SGD()(objective_of(other, DATA))
    assert torch.equal(followed(one), followed(other))


@pytest.mark.parametrize(("policy", "updates"), [("both", 2), ("first", 1)])
def test_batchnorm_policy(policy, updates):
    model = Staged(batchnorm=True).train()
    SAM(0.1, policy)(objective_of(model, DATA))
    assert int(model.norm.num_batches_tracked) == updates
    assert model.norm.track_running_stats


def test_frozen_statistics_normalise_by_the_batch():
    model = Staged(batchnorm=True).train()
    expected = Staged(batchnorm=True).train()(DATA.inputs)
    running = model.norm.running_mean.clone()
    with frozen_statistics(model):
        assert torch.equal(model(DATA.inputs), expected)
    assert torch.equal(model.norm.running_mean, running)


def test_frozen_statistics_leave_a_model_in_eval_mode_alone():
    model = Staged(batchnorm=True).eval()
    expected = model(DATA.inputs)
    with frozen_statistics(model):
        assert torch.equal(model(DATA.inputs), expected)


def test_an_error_inside_restores_the_weights():
    model = Staged()
    point = Point(model, DATA)
    objective = objective_of(model, DATA)
    features, calls = model.features, []

    def failing(x):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("second pass")
        return features(x)

    model.features = failing
    with pytest.raises(RuntimeError, match="second pass"):
        SAM(0.5)(objective)
    assert torch.equal(nn.utils.parameters_to_vector(model.parameters()), point.w)


def test_schedules_of_the_radius():
    steps = {0: 0.05, 4: 0.05, 5: 0.1, 159: 0.1, 160: 0.5, 179: 0.5, 180: 0.6, 199: 0.6}
    for epoch, expected in steps.items():
        assert scheduled(0.1, "step", epoch, 200) == pytest.approx(expected)
    assert scheduled(0.8, "linear", 0, 200) == pytest.approx(0.05)
    assert scheduled(0.8, "linear", 199, 200) == pytest.approx(0.8)
    assert scheduled(0.8, "constant", 30, 200) == 0.8
