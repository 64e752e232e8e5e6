"""Refined grids, points at once and objectives of surfaces against the plain grid."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import landscape
from landscape.analyses.surface_grid import empty_surface, evaluate_grid
from landscape.config import SurfaceConfig
from landscape.errors import InputError, MemoryWarning
from landscape.subject.loss import Loss, cross_entropy
from landscape.subject.subject import Subject
from landscape.weight_space import points as points_module
from landscape.weight_space.directions import Plane
from landscape.weight_space.evaluator import ClassLosses
from landscape.weight_space.points import Points
from tests.oracles import conv_net, mlp, toy_data

DATA = toy_data((3,), (9, 5, 3))
IMAGES = toy_data((1, 4, 4), (9, 5, 3))


def trained(steps=300):
    torch.manual_seed(0)
    model = mlp(outputs=3)
    rate = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(steps):
        rate.zero_grad()
        F.cross_entropy(model(DATA.inputs), DATA.labels, label_smoothing=0.1).backward()
        rate.step()
    return Subject(model, DATA)


class Bowls:
    """Losses of three classes in closed form, in place of an evaluator."""

    objective_name = ""
    samples = torch.tensor([9, 5, 3])

    def at(self, _, steps):
        x, y = steps
        bowl = torch.tensor([x**2 + 2 * y**2, (x - 0.3) ** 2 + y**2, x * y + x**2 + y**2])
        loss = torch.tensor([0.1, 0.05, 0.2], dtype=torch.float64) + bowl.double()
        return ClassLosses(loss, torch.zeros(3).long(), loss * torch.nan, self.samples)


def bowls(points, refine=()):
    subject, evaluator, steps = trained(0), Bowls(), np.linspace(-1, 1, points)
    plane = Plane([[torch.ones(1)], [torch.ones(1)]], ("random",) * 2, "none", (np.nan,) * 2)
    found = empty_surface(subject, evaluator, plane, steps, steps)
    return evaluate_grid(found, evaluator, plane, refine=refine)


def test_a_refined_grid_agrees_and_has_the_same_basins():
    whole, found = bowls(33), bowls(33, (2.0,))
    assert found.complete
    assert found.done.sum() < 0.45 * found.done.size
    assert np.array_equal(found.loss[found.done], whole.loss[found.done])
    assert np.isnan(found.loss[~found.done]).all()
    assert found.done[16, 16]
    for name in ("minimum", "at", "distance", "share", "bracket", "cut"):
        assert np.allclose(getattr(found, f"basin_{name}"), getattr(whole, f"basin_{name}")), name


def test_every_cell_that_a_contour_crosses_is_refined():
    whole, found = bowls(50), bowls(50, (2.0, 8.0))
    inside = np.zeros_like(found.done)
    for scope in map(str, found.scope):
        loss = whole.scope_loss(scope)
        for multiple in (2.0, 8.0):
            below = loss < multiple * loss.min()
            inside[1:] |= below[1:] != below[:-1]
            inside[:-1] |= below[1:] != below[:-1]
            inside[:, 1:] |= below[:, 1:] != below[:, :-1]
            inside[:, :-1] |= below[:, 1:] != below[:, :-1]
    assert inside.sum() > 100
    assert found.done[inside].all()


def test_a_refined_line_and_going_on():
    subject, kept = trained(), []

    class Stop(Exception):
        pass

    def keep(record):
        kept.append(record)
        if len(kept) == 7:
            raise Stop

    line = SurfaceConfig(points=33, dimensions=1, refine=(2.0,))
    whole = landscape.surface(subject, line)
    assert 9 <= whole.done.sum() < 33
    with pytest.raises(Stop):
        landscape.surface(subject, line, keep=keep)
    assert not kept[-1].complete
    again = landscape.surface(subject, line, partial=kept[-1])
    both = again.done & whole.done
    assert np.array_equal(again.loss[both], whole.loss[both])
    assert np.allclose(again.basin_share, whole.basin_share, equal_nan=True)
    assert again.complete


def test_contours_below_the_least_loss_are_refused():
    with pytest.raises(InputError, match="above 1"):
        landscape.surface(trained(0), refine=(0.5,))


class Branching(nn.Module):
    """What vmap cannot follow: a path that depends on the weights."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3).double()

    def forward(self, x):
        y = self.linear(x)
        return y if self.linear.weight.sum() > 0 else 2 * y


def stacked(monkeypatch):
    """Count the points that are stacked."""
    counts, own = [], Points._stacked

    def counting(self, steps):
        counts.append(len(steps))
        return own(self, steps)

    monkeypatch.setattr(Points, "_stacked", counting)
    return counts


@pytest.mark.parametrize(
    ("model", "data", "stacks"),
    [
        (mlp(outputs=3), DATA, True),
        (conv_net().eval(), IMAGES, True),
        (Branching(), DATA, False),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_points_at_once_agree_to_rounding(monkeypatch, model, data, stacks, dtype):
    subject, counts = Subject(model, data), stacked(monkeypatch)
    options = {"points": 5, "dtype": dtype, "batch_size": 4, "objective": cross_entropy()}
    alone = landscape.surface(subject, **options)
    found = landscape.surface(subject, at_once=4, **options)
    assert (counts[:1] == [4]) == stacks
    assert np.allclose(found.loss, alone.loss, rtol=1e-12 if dtype == "float64" else 1e-5)
    assert np.allclose(found.objective, found.loss, rtol=1e-12)
    assert np.array_equal(found.correct, alone.correct)


def test_statistics_of_batches_are_never_stacked(monkeypatch):
    counts = stacked(monkeypatch)
    landscape.surface(Subject(conv_net(), IMAGES), points=3, statistics="recomputed", at_once=4)
    assert counts == []


def test_points_are_halved_where_memory_runs_out(monkeypatch):
    subject, own = trained(0), points_module.functional_call
    alone = landscape.surface(subject, points=5)

    def short(network, weights, given):
        if next(iter(weights.values())).dim() and given[0].size * Large.at_once > 40:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return own(network, weights, given)

    class Large:
        at_once = 1

    before = Points._in_parts

    def in_parts(self, steps):
        Large.at_once = self.at_once
        return before(self, steps)

    monkeypatch.setattr(points_module, "functional_call", short)
    monkeypatch.setattr(Points, "_in_parts", in_parts)
    with pytest.warns(MemoryWarning, match="2 points at a time"):
        found = landscape.surface(subject, points=5, at_once=4)
    assert np.allclose(found.loss, alone.loss)


def test_an_objective_weighs_classes():
    weights = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    subject = Subject(mlp(outputs=3), DATA)
    objective = cross_entropy(class_weights=weights, label_smoothing=0.2)
    found = landscape.surface(subject, points=3, objective=objective)
    expected = F.cross_entropy(
        subject.model(DATA.inputs), DATA.labels, weights, label_smoothing=0.2, reduction="none"
    )
    outputs = subject.model(DATA.inputs)
    each = F.cross_entropy(outputs, DATA.labels, label_smoothing=0.2, reduction="none")
    own = weights[DATA.labels]
    expected = float(((own * each).sum() / own.sum()).detach())
    assert found.scope_objective("overall")[1, 1] == pytest.approx(expected, rel=1e-12)
    assert found.scope_loss("overall")[1, 1] == pytest.approx(
        F.cross_entropy(outputs, DATA.labels).item(), rel=1e-12
    )


def test_the_subjects_own_weights_are_an_objective():
    weights = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    model = mlp(outputs=3)
    found = landscape.surface(Subject(model, DATA, cross_entropy(class_weights=weights)), points=3)
    expected = F.cross_entropy(model(DATA.inputs), DATA.labels, weights).item()
    assert found.scope_objective("overall")[1, 1] == pytest.approx(expected, rel=1e-12)
    assert str(landscape.surface(Subject(model, DATA), points=3).objective_name) == ""


def test_an_objective_of_the_network_has_passes_of_its_own():
    model = mlp(outputs=3)
    objective = Loss.of_batch(
        lambda net, batch: net[0](batch[0]).square().sum(dim=1), name="features"
    )
    found = landscape.surface(Subject(model, DATA), points=3, objective=objective, at_once=2)
    expected = model[0](DATA.inputs).square().sum(dim=1).mean().item()
    assert found.scope_objective("overall")[1, 1] == pytest.approx(expected, rel=1e-12)
    assert str(found.objective_name) == "features"
