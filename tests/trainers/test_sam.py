"""SAM against its equation, computed step by step."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.oracles import conv_net, mlp, toy_data
from trainers.rules.perturbation import frozen_statistics
from trainers.rules.sam import SAM
from trainers.rules.sgd import SGD

DATA = toy_data((3,), (6, 4, 2))


def losses_of(model, data=DATA):
    return lambda: F.cross_entropy(model(data.inputs), data.labels, reduction="none")


def flat(tensors):
    return torch.cat([t.flatten() for t in tensors])


def gradient(point, data=DATA):
    model = mlp(outputs=3)
    nn.utils.vector_to_parameters(point, model.parameters())
    loss = F.cross_entropy(model(data.inputs), data.labels)
    return flat(torch.autograd.grad(loss, list(model.parameters())))


@pytest.mark.parametrize("rho", [0.05, 0.5])
def test_gradient_is_taken_at_the_end_of_the_ascent(rho):
    model = mlp(outputs=3)
    point = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    g = gradient(point)
    expected = gradient(point + rho * g / (g.pow(2).sum().sqrt() + 1e-12))
    each = SAM(rho)(model, losses_of(model), DATA.labels)
    assert torch.allclose(flat(p.grad for p in model.parameters()), expected, rtol=1e-12)
    assert torch.equal(nn.utils.parameters_to_vector(model.parameters()), point)
    assert torch.equal(each, losses_of(mlp(outputs=3))().detach())


def test_a_whole_step_with_momentum_and_weight_decay():
    """Weight decay acts at the restored weights only, momentum on the SAM gradient."""
    model, rho, lr, decay = mlp(outputs=3), 0.1, 0.3, 0.01
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=decay)
    w = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    buffer = torch.zeros_like(w)
    for _ in range(3):
        g = gradient(w)
        buffer = 0.9 * buffer + gradient(w + rho * g / g.norm()) + decay * w
        w = w - lr * buffer
        optimizer.zero_grad()
        SAM(rho)(model, losses_of(model), DATA.labels)
        optimizer.step()
    assert torch.allclose(nn.utils.parameters_to_vector(model.parameters()), w, rtol=1e-10)


def test_zero_radius_is_sgd():
    one, other = mlp(outputs=3), mlp(outputs=3)
    SAM(0.0)(one, losses_of(one), DATA.labels)
    SGD()(other, losses_of(other), DATA.labels)
    assert torch.equal(
        flat(p.grad for p in one.parameters()), flat(p.grad for p in other.parameters())
    )


@pytest.mark.parametrize(("policy", "updates"), [("both", 2), ("first", 1)])
def test_batchnorm_policy(policy, updates):
    data = toy_data((1, 4, 4), (6, 4, 2))
    model = conv_net().train()
    before = int(model[1].num_batches_tracked)
    SAM(0.1, policy)(model, losses_of(model, data), data.labels)
    assert int(model[1].num_batches_tracked) - before == updates
    assert model[1].track_running_stats


def test_frozen_statistics_normalise_by_the_batch():
    data = toy_data((1, 4, 4), (6, 4, 2))
    model = conv_net().train()
    expected = conv_net().train()(data.inputs)
    running = model[1].running_mean.clone()
    with frozen_statistics(model):
        assert torch.equal(model(data.inputs), expected)
    assert torch.equal(model[1].running_mean, running)


def test_an_error_inside_restores_the_weights():
    model = mlp(outputs=3)
    point = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    calls = []

    def losses():
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("second pass")
        return losses_of(model)()

    with pytest.raises(RuntimeError, match="second pass"):
        SAM(0.5)(model, losses, DATA.labels)
    assert torch.equal(nn.utils.parameters_to_vector(model.parameters()), point)
