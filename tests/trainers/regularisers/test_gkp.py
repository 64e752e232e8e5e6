"""Grouped knowledge preservation: its penalty, memory, groups and Fisher information."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from landscape.analyses.features import feature_quality
from tests.oracles import Staged, objective_of, toy_data
from trainers.config import TrainConfig
from trainers.methods.grammar import REGULARISERS
from trainers.regularisers.fisher import batch_fisher
from trainers.regularisers.gkp import GroupedKnowledge, normalised_cuts
from trainers.rules.sgd import SGD
from trainers.trainer import Trainer
from trainers.training import prepare

DATA = toy_data((3,), (6, 4, 2))
COUNTS = torch.tensor([50, 20, 7])


def trained(regulariser, steps=6):
    """A few epochs of plain descent, each followed by the regulariser's look at the network."""
    model = Staged()
    generator = torch.Generator().manual_seed(0)
    for epoch in range(steps):
        objective = objective_of(model, DATA, class_counts=COUNTS, epoch=epoch, epochs=10)
        model.zero_grad()
        SGD()(objective)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.5 * parameter.grad
        regulariser.end_epoch(objective, DATA, DATA, generator)
    return model


def test_alpha_follows_a_half_cosine():
    gkp = GroupedKnowledge()
    assert gkp.share(0.0) == pytest.approx(0.95)
    assert gkp.share(1.0) == pytest.approx(0.6)
    assert gkp.share(0.25) == pytest.approx(0.6 + 0.175 * (1 + math.cos(math.pi / 4)))


def test_penalty_gradient_by_autograd():
    gkp = GroupedKnowledge(group_count=2, refresh=0.4)
    model = trained(gkp)
    state = gkp.state()
    assert len(state["anchors"]) == 2
    labels = DATA.labels
    objective = objective_of(model, DATA, class_counts=COUNTS, epoch=6, epochs=10)
    alpha = gkp.share(0.6)
    encoder = [*model.first.parameters(), *model.second.parameters()]
    total = alpha * objective.losses().mean()
    for label in labels.tolist():
        for j in range(2):
            if j == int(state["groups"][label]):
                continue
            pieces = zip(state["importance"][j], encoder, state["anchors"][j], strict=True)
            penalty = sum((f * (p - a) ** 2).sum() for f, p, a in pieces)
            total = total + (1 - alpha) * 50.0 * penalty / len(labels)
    expected = torch.autograd.grad(total, list(model.parameters()))
    model.zero_grad()
    SGD()(objective)
    gkp.add(objective)
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, gradient, rtol=1e-10, atol=1e-15)
    plain = torch.autograd.grad(objective.losses().mean(), encoder)
    pulled = [p.grad - alpha * g for p, g in zip(encoder, plain, strict=True)]
    assert all(pull.norm() > 1e-6 for pull in pulled)


def test_importance_is_the_fisher_information_over_the_group_size():
    gkp = GroupedKnowledge(group_count=2, refresh=0.4)
    trained(gkp, steps=4)
    state = gkp.state()
    for g in range(2):
        model = Staged().eval()
        encoder = [*model.first.parameters(), *model.second.parameters()]
        trained_copy = trained(GroupedKnowledge(group_count=2, refresh=0.4), steps=4)
        model.head.load_state_dict(trained_copy.head.state_dict())
        with torch.no_grad():
            for parameter, value in zip(encoder, state["anchors"][g], strict=True):
                parameter.copy_(value)
        classes = (state["groups"] == g).nonzero().flatten()
        members = torch.isin(DATA.labels, classes).nonzero().flatten()
        total = [torch.zeros_like(p) for p in encoder]
        for i in members.tolist():
            loss = F.cross_entropy(model(DATA.inputs[i : i + 1]), DATA.labels[i : i + 1])
            for sum_, grad in zip(total, torch.autograd.grad(loss, encoder), strict=True):
                sum_ += grad**2
        size = float(COUNTS[classes].sum())
        for found, sum_ in zip(state["importance"][g], total, strict=True):
            assert torch.allclose(found, sum_ / len(members) / size, rtol=1e-6, atol=1e-14)


def test_information_of_batches(monkeypatch):
    """Squared gradients of the mean adjusted cross-entropy, summed over the batches, over N."""
    monkeypatch.setattr("trainers.regularisers.fisher.BATCH", 5)
    model, prior = Staged().eval(), (COUNTS.double() / COUNTS.sum()).log()
    chosen = torch.arange(12)
    found = batch_fisher(model, DATA, chosen, COUNTS)
    encoder = [*model.first.parameters(), *model.second.parameters()]
    total = [torch.zeros_like(p) for p in encoder]
    for batch in chosen.split(5):
        loss = F.cross_entropy(model(DATA.inputs[batch]) + prior, DATA.labels[batch])
        for sum_, grad in zip(total, torch.autograd.grad(loss, encoder), strict=True):
            sum_ += grad**2
    for value, sum_ in zip(found, total, strict=True):
        assert torch.allclose(value, sum_ / 12, rtol=1e-12)


def test_released_information_is_that_of_batches_of_all_samples():
    gkp = GroupedKnowledge(group_count=2, refresh=0.4, fisher="batches", fisher_samples=1)
    model = trained(gkp, steps=4)
    state = gkp.state()
    for g in range(2):
        copy = Staged().eval()
        copy.head.load_state_dict(model.head.state_dict())
        encoder = [*copy.first.parameters(), *copy.second.parameters()]
        with torch.no_grad():
            for parameter, value in zip(encoder, state["anchors"][g], strict=True):
                parameter.copy_(value)
        classes = (state["groups"] == g).nonzero().flatten()
        members = torch.isin(DATA.labels, classes).nonzero().flatten()
        expected, size = batch_fisher(copy, DATA, members, COUNTS), float(COUNTS[classes].sum())
        for found, value in zip(state["importance"][g], expected, strict=True):
            assert torch.allclose(found, value / size, rtol=1e-9, atol=1e-15)
    part = REGULARISERS["gkp"]
    assert part.resolved("released")["fisher"] == "batches"
    assert part.resolved("paper")["fisher"] == "samples"


def test_memory_keeps_the_best_snapshot_of_each_class():
    gkp = GroupedKnowledge(group_count=2, refresh=1.0)
    model, best, snapshots = Staged(), torch.full((3,), -torch.inf, dtype=torch.float64), [None] * 3
    generator = torch.Generator().manual_seed(1)
    for epoch in range(5):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.5 * torch.randn(
                    parameter.shape, generator=generator, dtype=torch.float64
                )
        objective = objective_of(model, DATA, class_counts=COUNTS, epoch=epoch, epochs=10)
        gkp.end_epoch(objective, DATA, DATA, generator)
        features = model.features(DATA.inputs).detach()
        quality = feature_quality(features, DATA.labels, 3).quality
        now = torch.cat(
            [p.detach().flatten() for p in (*model.first.parameters(), *model.second.parameters())]
        )
        for c in range(3):
            if quality[c] > best[c]:
                best[c], snapshots[c] = quality[c], now
    bank = gkp.state()["bank"]
    assert all(torch.equal(bank[c], snapshots[c]) for c in range(3))
    assert len({tuple(row.tolist()) for row in bank}) > 1


def test_normalised_cuts_recover_planted_groups():
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(3, 200, generator=generator)
    planted = torch.tensor([0, 0, 1, 2, 1, 2, 0])
    snapshots = centres[planted] + 0.1 * torch.randn(7, 200, generator=generator)
    assert normalised_cuts(snapshots, 3).tolist() == planted.tolist()


def test_identical_snapshots_are_one_group():
    found = normalised_cuts(torch.ones(5, 10), 4)
    assert np.array_equal(found, np.zeros(5))


def test_the_released_grouping_only_scales():
    gkp = GroupedKnowledge(group_count=1, alpha_start=0.9, alpha_end=0.8)
    model = trained(gkp)
    objective = objective_of(model, DATA, class_counts=COUNTS, epoch=5, epochs=10)
    model.zero_grad()
    SGD()(objective)
    before = [p.grad.clone() for p in model.parameters()]
    gkp.add(objective)
    for parameter, gradient in zip(model.parameters(), before, strict=True):
        assert torch.allclose(parameter.grad, 0.85 * gradient)


def test_released_alpha_scales_the_loss_of_both_passes():
    """The ascent of GSA sees α too; the losses that are reported are without it."""
    config = TrainConfig(method="gkp-gsa@released", device="cpu", epochs=10)
    plan, data, device = prepare(config)
    trainer = Trainer(plan, data, device)
    objective = trainer.objective(*batch_of(trainer), epoch=5)
    assert objective.scale == pytest.approx(0.85)
    found = objective.losses().detach()
    assert torch.allclose(found, 0.85 * replace(objective, scale=1.0).losses().detach())
    stepped = trainer.step(*batch_of(trainer), epoch=5)
    first = torch.cat([m.flatten() for m in trainer.stage.rule.state()["means"][0]])
    other = Trainer(plan, data, device)
    plain = other.objective(*batch_of(other), epoch=5)
    plain.scale = 1.0
    each = plain.losses()
    gradient = torch.autograd.grad(each.mean(), plain.parameters)
    whole = torch.cat([g.flatten() for g in gradient])
    assert (first - 0.85 * whole).norm() < 1e-3 * whole.norm()
    assert torch.allclose(stepped.each, each.detach(), rtol=1e-4)


def batch_of(trainer):
    order, generator = torch.arange(64), torch.Generator().manual_seed(0)
    trainer.set_training()
    return next(trainer._train.batches(order, 64, generator))
