"""Surfaces, directions and trajectories against closed forms and subset runs."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscape.analyses.surface_grid import empty_surface, evaluate_grid, refinement_order, steps_of
from landscape.errors import InputError
from landscape.subject.data import TensorData
from landscape.subject.loss import Loss
from landscape.subject.subject import Selection, Subject
from landscape.weight_space.directions import (
    Plane,
    hessian_plane,
    normalised,
    plane_through,
    principal_plane,
    random_plane,
)
from landscape.weight_space.evaluator import Evaluator
from landscape.weight_space.projection import projected
from tests.oracles import conv_net, mlp, toy_data

DATA = toy_data((3,), (9, 5, 3))


def everything(data):
    count = len(data.labels)
    order = torch.argsort(data.labels, stable=True)
    return Selection(order, torch.full((count,), 1 / count, dtype=torch.float64))


def evaluator_of(subject, selection=None, **options):
    options = {"dtype": torch.float64, "batch_size": 4} | options
    return Evaluator(subject, selection or everything(subject.data), **options)


def surface_of(subject, plane=None, x=(-1, 1, 5), y=(-1, 1, 3), selection=None, **options):
    evaluator = evaluator_of(subject, selection, **options)
    plane = plane or random_plane(evaluator.centre, torch.Generator().manual_seed(0))
    steps = [np.linspace(low, high, count) for low, high, count in (x, y)]
    return evaluate_grid(empty_surface(subject, evaluator, plane, *steps), evaluator, plane), plane


def regression():
    """Squared error of a linear model: a quadratic in its weights, one a class."""
    model = nn.Linear(3, 1, bias=False).double()
    nn.init.constant_(model.weight, 0.3)  # the same whatever ran before
    targets = torch.linspace(-1, 1, len(DATA.labels), dtype=torch.float64)
    data = TensorData(DATA.inputs, DATA.labels, targets)
    loss = Loss.of_batch(lambda net, batch: (net(batch[0])[:, 0] - batch[1]) ** 2)
    return Subject(model, data, loss, class_names=("0", "1", "2")), targets


def test_a_quadratic_is_exact_on_an_oblong_grid():
    subject, targets = regression()
    found, plane = surface_of(subject, x=(-0.5, 2.0, 7), y=(-3.0, 1.0, 4))
    w = subject.model.weight.detach()[0]
    d1, d2 = (parts[0][0] for parts in plane.directions)
    assert found.loss.shape == (4, 7, 3)
    for j, y in enumerate(found.y):
        for i, x in enumerate(found.x):
            errors = (DATA.inputs @ (w + x * d1 + y * d2) - targets) ** 2
            for c in range(3):
                expected = float(errors[DATA.labels == c].mean())
                assert found.loss[j, i, c] == pytest.approx(expected, rel=1e-10, abs=1e-10)


def test_the_centre_is_the_checkpoint_bitwise():
    subject = Subject(conv_net().eval(), toy_data((1, 4, 4), (9, 5, 3)))
    own = evaluator_of(subject).judge()
    found, _ = surface_of(subject)
    assert found.loss[1, 2].tolist() == own.loss.tolist()
    assert found.correct[1, 2].tolist() == own.correct.tolist()
    logits = subject.model(subject.data.inputs)
    for c in range(3):
        members = subject.data.labels == c
        expected = F.cross_entropy(logits[members], subject.data.labels[members])
        assert found.loss[1, 2, c] == pytest.approx(expected.item(), rel=1e-12)
        hits = (logits[members].argmax(dim=1) == c).sum()
        assert found.correct[1, 2, c] == int(hits)


def test_each_class_equals_a_run_on_it_alone():
    subject = Subject(mlp(outputs=3), DATA)
    found, plane = surface_of(subject)
    for c in range(3):
        members = (DATA.labels == c).nonzero().flatten()
        alone = Selection(members, torch.full((len(members),), 1.0))
        only, _ = surface_of(subject, plane, selection=alone)
        assert np.allclose(only.loss[..., c], found.loss[..., c], rtol=1e-12)
        assert np.isnan(only.loss[..., (c + 1) % 3]).all()


def test_scopes_are_sums_over_classes():
    subject = Subject(mlp(outputs=3), DATA)
    found, plane = surface_of(subject)
    evaluator = evaluator_of(subject)
    evaluator.at(plane.directions, (found.x[0], found.y[2]))
    overall = F.cross_entropy(evaluator.model(DATA.inputs), DATA.labels).item()
    assert found.scope_loss("overall")[2, 0] == pytest.approx(overall, rel=1e-12)
    share = found.correct[2, 0].sum() / len(DATA.labels)
    assert found.scope_accuracy("overall")[2, 0] == share
    assert np.array_equal(found.scope_loss("class/1"), found.loss[..., 1])


def test_resuming_gives_the_same_arrays():
    subject = Subject(mlp(outputs=3), DATA)
    whole, plane = surface_of(subject)
    evaluator = evaluator_of(subject)
    partial = empty_surface(subject, evaluator, plane, whole.x, whole.y)

    class Stop(Exception):
        pass

    def report(done, total):
        assert total == 15
        if done == 6:
            raise Stop

    with pytest.raises(Stop):
        evaluate_grid(partial, evaluator, plane, report)
    assert partial.done.sum() == 6
    assert np.isnan(partial.loss[~partial.done]).all()
    again = evaluate_grid(partial, evaluator_of(subject), plane)
    assert np.array_equal(again.loss, whole.loss)
    assert again.done.all()


def test_coarse_points_come_first_and_each_once():
    order = list(refinement_order(9, 5))
    assert len(order) == len(set(order)) == 45
    assert order[0] == (2, 4)
    coarse = {(r, c) for r in (0, 2, 4) for c in (0, 2, 4, 6, 8)}
    assert set(order[: len(coarse)]) == coarse
    assert set(refinement_order(6, 1)) == {(0, c) for c in range(6)}


def test_zero_is_zero():
    assert steps_of((-1.0, 1.0), 51)[25] == 0.0
    assert steps_of((-0.3, 0.3), 7)[3] == 0.0


def test_nothing_of_the_model_changes():
    subject = Subject(conv_net(), toy_data((1, 4, 4), (9, 5, 3)))
    before = {k: v.clone() for k, v in subject.model.state_dict().items()}
    flags = [m.training for m in subject.model.modules()]
    surface_of(subject, statistics="recomputed")
    assert all(torch.equal(v, before[k]) for k, v in subject.model.state_dict().items())
    assert [m.training for m in subject.model.modules()] == flags
    assert all(p.grad is None for p in subject.model.parameters())


def test_non_finite_losses_are_stored():
    class Exploding(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.eye(3, dtype=torch.float64) - 1 / 3)  # its sum is 0

        def forward(self, x):
            return (x @ self.weight.T) * (5000 * self.weight.sum()).exp()

    subject = Subject(Exploding(), DATA)
    found, _ = surface_of(subject, x=(-1, 3, 5), y=(0, 0, 1))
    assert found.done.all()
    assert not np.isfinite(found.loss).all()


@pytest.mark.parametrize("batch_size", [100, 6])
def test_recomputed_statistics_are_those_of_the_data(batch_size):
    data = toy_data((1, 4, 4), (9, 5, 3))
    subject = Subject(conv_net().eval(), data)
    evaluator = evaluator_of(subject, statistics="recomputed", batch_size=batch_size)
    fresh = conv_net()
    fresh[1].reset_running_stats()
    fresh[1].momentum = None
    for part in everything(data).indices.split(batch_size):
        fresh.train()(data.inputs[part])
    expected = F.cross_entropy(fresh.eval()(data.inputs), data.labels, reduction="none").detach()
    for c in range(3):
        mean = float(expected[data.labels == c].mean())
        assert float(evaluator.judge().loss[c]) == pytest.approx(mean, rel=1e-12)
    assert float(evaluator_of(subject).judge().loss[0]) != pytest.approx(
        float(expected[data.labels == 0].mean()), rel=1e-3
    )


class Filters(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.depthwise = nn.Conv2d(4, 4, 3, groups=4)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 3)


def test_every_filter_has_the_norm_of_its_weights():
    torch.manual_seed(0)
    model = Filters()
    weights = [p.detach() for p in model.parameters()]
    plane = random_plane(weights, torch.Generator().manual_seed(1))
    for parts in plane.directions:
        for direction, weight in zip(parts, weights, strict=True):
            if weight.dim() == 1:
                assert not direction.any()
            else:
                assert torch.allclose(
                    direction.flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1), rtol=1e-5
                )
    with_vectors = normalised([torch.randn_like(w) for w in weights], weights, vectors=True)
    assert torch.allclose(with_vectors[1].norm(), weights[1].norm())
    by_layer = normalised([torch.randn_like(w) for w in weights], weights, "layer")
    assert torch.allclose(by_layer[0].norm(), weights[0].norm())


def test_a_filter_of_zeros_stays():
    direction = normalised([torch.ones(2, 3)], [torch.tensor([[0.0, 0, 0], [3, 4, 0]])])[0]
    assert direction[0].tolist() == [0, 0, 0]
    assert float(direction[1].norm()) == pytest.approx(5)


def test_the_second_direction_is_orthogonal_before_scaling():
    weights = [torch.ones(4, 5, dtype=torch.float64)]
    plane = random_plane(weights, torch.Generator().manual_seed(0), kind="layer")
    assert abs(plane.cosine) < 1e-12
    plane = random_plane(weights, torch.Generator().manual_seed(0))
    one, other = (parts[0].flatten() for parts in plane.directions)
    assert plane.cosine == pytest.approx(float(F.cosine_similarity(one, other, dim=0)))


def test_seeds_differ_and_repeat():
    weights = [torch.ones(4, 5)]
    planes = [random_plane(weights, torch.Generator().manual_seed(s)) for s in (0, 0, 1)]
    first = [plane.directions[0][0] for plane in planes]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


def planted(shift=0.0):
    generator = torch.Generator().manual_seed(3)
    weights = [torch.randn(4, 5, generator=generator, dtype=torch.float64), torch.ones(4).double()]
    plane = random_plane(weights, generator)
    off = [torch.randn(w.shape, generator=generator, dtype=torch.float64) for w in weights]
    basis = torch.stack([torch.cat([d.flatten() for d in p]) for p in plane.directions], 1)
    flat = torch.cat([o.flatten() for o in off])
    flat -= basis @ torch.linalg.lstsq(basis, flat[:, None]).solution[:, 0]
    flat *= shift / flat.norm()
    return weights, plane, flat


@pytest.mark.parametrize("shift", [0.0, 1.7])
def test_projection_recovers_planted_coordinates(shift):
    weights, plane, off = planted(shift)
    sizes = [w.numel() for w in weights]
    pieces = [part.view_as(w) for part, w in zip(off.split(sizes), weights, strict=True)]
    point = [
        w + 2.5 * a - 0.3 * b + o
        for w, a, b, o in zip(weights, *plane.directions, pieces, strict=True)
    ]
    coordinates, distances = projected(plane, weights, [point, weights])
    assert coordinates[0].tolist() == pytest.approx([2.5, -0.3], abs=1e-12)
    assert float(distances[0]) == pytest.approx(shift, abs=1e-12)
    assert coordinates[1].tolist() == pytest.approx([0, 0])


def test_a_planar_trajectory_lies_in_its_principal_plane():
    weights, plane, _ = planted()
    path = [
        [w + s * a + (s - 1) ** 2 * b for w, a, b in zip(weights, *plane.directions, strict=True)]
        for s in (0.5, 1.0, 2.0, 3.5)
    ]
    found = principal_plane(weights, path)
    coordinates, distances = projected(found, weights, path)
    assert distances.max() < 1e-9
    assert sum(found.explained) == pytest.approx(1)
    assert float(coordinates.abs().max()) == pytest.approx(0.8)
    assert abs(found.cosine) < 1e-6


def test_a_trajectory_on_a_line_spans_no_principal_plane():
    weights, plane, _ = planted()
    path = [[w + s * d for w, d in zip(weights, plane.directions[0], strict=True)] for s in (0, 1)]
    with pytest.raises(InputError, match="needs two directions"):
        principal_plane(weights, path)


def test_planes_through_checkpoints():
    weights, plane, _ = planted()
    one = [w + a for w, a in zip(weights, plane.directions[0], strict=True)]
    other = [w + b for w, b in zip(weights, plane.directions[1], strict=True)]
    found = plane_through(weights, [one, other])
    coordinates, distances = projected(found, weights, [one, other])
    assert np.allclose(coordinates.numpy(), np.eye(2))
    assert distances.max() < 1e-9
    with pytest.raises(InputError, match="span no plane"):
        plane_through(weights, [weights, one])
    with pytest.raises(InputError, match="span no plane"):
        plane_through(weights, [one, [w + 2 * (o - w) for w, o in zip(weights, one, strict=True)]])


def test_hessian_directions_are_unit_vectors_of_the_parameters():
    weights, _, _ = planted()
    vectors = torch.linalg.qr(torch.randn(24, 2, dtype=torch.float64)).Q
    found = hessian_plane(weights, vectors)
    assert found.norms == pytest.approx([1, 1])
    assert torch.equal(found.directions[0][1], vectors[20:, 0])


def test_a_line_has_one_direction():
    subject, targets = regression()
    evaluator = evaluator_of(subject)
    line = random_plane(evaluator.centre, torch.Generator().manual_seed(0), count=1)
    found, _ = surface_of(subject, line, y=(0, 0, 1))
    assert found.loss.shape == (1, 5, 3)
    assert np.isnan(found.direction_cosine)
    w = subject.model.weight.detach()[0] + line.directions[0][0][0]
    expected = ((DATA.inputs @ w - targets) ** 2)[DATA.labels == 2].mean()
    assert found.loss[0, 4, 2] == pytest.approx(float(expected), rel=1e-12)
    assert isinstance(line, Plane)


def test_a_grid_that_is_not_square_has_rows_of_y_and_columns_of_x():
    """loss-landscape's array is (x, y), its mesh (y, x)."""
    subject, targets = regression()
    found, plane = surface_of(subject, x=(0, 4, 5), y=(0, 1, 2))
    w, d = subject.model.weight.detach()[0], plane.directions[0][0][0]
    for i, x in enumerate(found.x):
        expected = ((DATA.inputs @ (w + x * d) - targets) ** 2)[DATA.labels == 0].mean()
        assert found.loss[0, i, 0] == pytest.approx(float(expected), rel=1e-12)


def test_points_of_zero_loss_are_done():
    """loss-landscape takes a loss <= 0 for unfinished; here a mask says which points are done."""
    zero = Loss.of_batch(lambda net, batch: net(batch[0]).sum(dim=1) * 0)
    subject = Subject(mlp(outputs=3), DATA, zero)
    found, plane = surface_of(subject)
    assert (found.loss == 0).all()
    evaluator = evaluator_of(subject)
    evaluator.at = None  # nothing is left to compute
    assert evaluate_grid(found, evaluator, plane).done.all()


def test_the_number_of_points_is_whole():
    """loss-landscape calls np.linspace(num=51.0) and np.float, errors in NumPy 2."""
    assert len(steps_of((-1.0, 1.0), 51)) == 51


def test_every_row_equals_a_line_alone():
    """loss-landscapes accumulates offsets in a snake and shifts odd rows by a step."""
    subject, _ = regression()
    found, plane = surface_of(subject, x=(-2, 2, 5), y=(-1, 1, 3))
    for row in range(3):
        line, _ = surface_of(subject, plane, x=(-2, 2, 5), y=(found.y[row], found.y[row], 1))
        assert np.array_equal(line.loss[0], found.loss[row])


def test_the_start_of_a_line_is_evaluated():
    """loss-landscapes never evaluates it."""
    subject, _ = regression()
    found, _ = surface_of(subject, x=(0, 1, 3), y=(0, 0, 1))
    assert found.loss[0, 0].tolist() == evaluator_of(subject).judge().loss.tolist()


def test_values_that_are_not_finite_are_kept():
    """Landscaper replaces them."""

    class Infinite(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, 3, dtype=torch.float64))

        def forward(self, x):
            return x @ self.weight.T / (self.weight.sum() > 9.5).logical_not()

    found, _ = surface_of(Subject(Infinite(), DATA), x=(-3, 3, 7), y=(0, 0, 1))
    assert found.done.all()
    assert np.isnan(found.loss).any()


def test_the_corner_of_the_grid_is_a_whole_step_along_both_directions():
    """Landscaper swaps its axes and overstates its steps."""
    subject, targets = regression()
    found, plane = surface_of(subject, x=(-1, 1, 5), y=(-1, 1, 41))
    w = subject.model.weight.detach()[0]
    edge = w - plane.directions[0][0][0] + plane.directions[1][0][0]
    expected = ((DATA.inputs @ edge - targets) ** 2)[DATA.labels == 1].mean()
    assert found.y[40] == 1.0
    assert found.loss[40, 0, 1] == pytest.approx(float(expected), rel=1e-12)


def test_a_surface_holds_no_weights_of_its_points():
    """loss-landscape-anim holds 100 x 100 points of half a million parameters: 20 GB."""
    subject = Subject(nn.Linear(3, 3).double(), DATA)
    evaluator = evaluator_of(subject)
    plane = random_plane(evaluator.centre, torch.Generator().manual_seed(0))
    empty = empty_surface(subject, evaluator, plane, np.zeros(100), np.zeros(100))
    held = sum(v.nbytes for v in vars(empty).values() if isinstance(v, np.ndarray))
    assert held < 1e6
