"""The influence-balanced loss against a value computed by hand, and its start."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.oracles import Staged, objective_of, toy_data
from trainers.losses.influence_balanced import InfluenceBalanced
from trainers.losses.loss import Scored
from trainers.objective import criterion_of
from trainers.rules.sgd import SGD

COUNTS = torch.tensor([3, 1])


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(2, 2, bias=False).double()
        nn.init.eye_(self.head.weight)


def test_loss_of_known_features():
    features = torch.tensor([[3.0, 1.0]], dtype=torch.float64).log()  # p = (3/4, 1/4)
    batch = Scored(Head(), features, torch.tensor([0]))
    found, logits = InfluenceBalanced(COUNTS).of_network(batch), batch.logits
    # w = 1/2, CE = 0.287682, ‖p - 1‖₁ = 1/2, ‖h‖₁ = 1.098612
    assert float(found.detach()) == pytest.approx(0.5 * 287.682 / 0.550306, rel=1e-5)
    assert torch.equal(logits, features)


def test_cross_entropy_before_its_start():
    loss = InfluenceBalanced(COUNTS, start=0.5)
    logits, labels = torch.tensor([[1.0, 0.5]]), torch.tensor([1])
    before = loss.at(99, 200, torch.Generator())
    assert torch.equal(before(logits, labels), F.cross_entropy(logits, labels, reduction="none"))
    assert loss.at(100, 200, torch.Generator()) is loss


def test_the_influence_is_differentiated():
    model, data = Staged().train(), toy_data((3,), (6, 4, 2))
    counts = torch.bincount(data.labels)
    objective = objective_of(model, data)
    objective.criterion = criterion_of(InfluenceBalanced(counts, alpha=2.0, start=0.0))
    SGD()(objective)
    h = model.features(data.inputs)
    logits = model.head(h)
    missed = 2 * (1 - logits.softmax(1).gather(1, data.labels[:, None]).squeeze(1))
    weights = (1 / counts.double()) / (1 / counts.double()).sum() * 3
    each = F.cross_entropy(logits, data.labels, reduction="none")
    total = (weights[data.labels] * each * 2 / (missed * h.abs().sum(1) + 1e-3)).mean()
    expected = torch.autograd.grad(total, list(model.parameters()))
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, gradient, rtol=1e-6, atol=1e-9)
