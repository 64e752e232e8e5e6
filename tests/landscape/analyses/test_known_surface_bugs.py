"""Faults that other surface, CCA and CKA tools have; each is named, and not here."""

import time

import numpy as np
import pytest
import torch
from torch import nn

from landscape.analyses.similarity import class_similarity
from landscape.analyses.similarity_measures import cca, cka, pwcca, svcca
from landscape.analyses.surface_grid import empty_surface, evaluate_grid, steps_of
from landscape.subject.data import TensorData
from landscape.subject.loss import Loss
from landscape.subject.subject import Subject
from landscape.weight_space.directions import normalised, principal_plane, random_plane
from landscape.weight_space.projection import projected
from tests.landscape.analyses.test_surface import evaluator_of, planted, regression, surface_of
from tests.oracles import mlp, toy_data

DATA = toy_data((3,), (9, 5, 3))


def test_loss_landscape_scrambles_grids_that_are_not_square():
    """Its array is (x, y), its mesh (y, x)."""
    subject, targets = regression()
    found, plane = surface_of(subject, x=(0, 4, 5), y=(0, 1, 2))
    w, d = subject.model.weight.detach()[0], plane.directions[0][0][0]
    for i, x in enumerate(found.x):
        expected = ((DATA.inputs @ (w + x * d) - targets) ** 2)[DATA.labels == 0].mean()
        assert found.loss[0, i, 0] == pytest.approx(float(expected), rel=1e-12)


def test_loss_landscape_computes_points_of_zero_loss_for_ever():
    """It marks unfinished points by loss <= 0; here a mask says what is done."""
    zero = Loss.of_batch(lambda net, batch: net(batch[0]).sum(dim=1) * 0)
    subject = Subject(mlp(outputs=3), DATA, zero)
    found, plane = surface_of(subject)
    assert (found.loss == 0).all()
    evaluator = evaluator_of(subject)
    evaluator.at = None  # nothing is left to compute
    assert evaluate_grid(found, evaluator, plane).done.all()


def test_loss_landscape_cannot_count_points_on_new_numpy():
    """np.linspace(num=51.0) and np.float are errors there."""
    assert len(steps_of((-1.0, 1.0), 51)) == 51


def test_loss_landscape_projects_to_lengths_and_not_to_coordinates():
    """2.5 steps along a direction of norm 9.58 are drawn at 23.9 there."""
    weights, plane, _ = planted()
    point = [w + 2.5 * d for w, d in zip(weights, plane.directions[0], strict=True)]
    coordinates, _ = projected(plane, weights, [point])
    assert plane.norms[0] > 3
    assert float(coordinates[0, 0]) == pytest.approx(2.5, abs=1e-12)


def test_loss_landscape_centres_its_principal_directions_elsewhere():
    """Its components are of the data about their mean, its coordinates about the end."""
    weights, plane, _ = planted()
    # a line that misses the origin: about the end it spans two directions, about the mean one
    path = [
        [w + a + s * b for w, a, b in zip(weights, *plane.directions, strict=True)]
        for s in (1.0, 2.0, 3.0)
    ]
    found = principal_plane(weights, path)
    _, distances = projected(found, weights, path)
    assert distances.max() < 1e-9


def test_loss_landscapes_shifts_every_second_row():
    """Its snake traversal moves odd rows by a step, since it accumulates offsets."""
    subject, _ = regression()
    found, plane = surface_of(subject, x=(-2, 2, 5), y=(-1, 1, 3))
    for row in range(3):
        line, _ = surface_of(subject, plane, x=(-2, 2, 5), y=(found.y[row], found.y[row], 1))
        assert np.array_equal(line.loss[0], found.loss[row])


def test_loss_landscapes_draws_its_directions_from_one_orthant():
    """Uniform numbers in [0, 1) have a mean of a half; directions have to be centred."""
    weights = [torch.ones(200, 50)]
    plane = random_plane(weights, torch.Generator().manual_seed(0))
    for parts in plane.directions:
        assert abs(float(parts[0].mean())) < 5 * float(parts[0].std()) / 100


def test_loss_landscapes_never_evaluates_the_start_of_a_line():
    subject, _ = regression()
    found, _ = surface_of(subject, x=(0, 1, 3), y=(0, 0, 1))
    assert found.loss[0, 0].tolist() == evaluator_of(subject).judge().loss.tolist()


def test_loss_landscapes_normalises_biases_twice_and_leaves_the_model_moved():
    weights = [torch.full((3, 4), 2.0), torch.full((3,), 5.0)]
    direction = normalised([torch.ones(3, 4), torch.ones(3)], weights, vectors=True)
    assert float(direction[1].norm()) == pytest.approx(float(weights[1].norm()))
    subject, _ = regression()
    before = subject.model.weight.clone()
    surface_of(subject)
    assert torch.equal(subject.model.weight, before)


def test_landscaper_directions_grow_without_bound():
    """Projecting out directions that are not of unit norm, it reaches norms of 1e8."""
    weights = [torch.randn(30, 30, generator=torch.Generator().manual_seed(0))]
    plane = random_plane(weights, torch.Generator().manual_seed(1), kind="layer")
    expected = float(weights[0].norm())
    assert plane.norms == pytest.approx([expected, expected], rel=1e-5)
    assert abs(plane.cosine) < 1e-6


def test_landscaper_replaces_what_is_not_finite():
    class Infinite(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, 3, dtype=torch.float64))

        def forward(self, x):
            return x @ self.weight.T / (self.weight.sum() > 9.5).logical_not()

    found, _ = surface_of(Subject(Infinite(), DATA), x=(-3, 3, 7), y=(0, 0, 1))
    assert found.done.all()
    assert np.isnan(found.loss).any()


def test_landscaper_swaps_its_axes_and_overstates_its_steps():
    subject, targets = regression()
    found, plane = surface_of(subject, x=(-1, 1, 5), y=(-1, 1, 41))
    w = subject.model.weight.detach()[0]
    edge = w - plane.directions[0][0][0] + plane.directions[1][0][0]
    expected = ((DATA.inputs @ edge - targets) ** 2)[DATA.labels == 1].mean()
    assert found.y[40] == 1.0
    assert found.loss[40, 0, 1] == pytest.approx(float(expected), rel=1e-12)


def test_torch_loss_landscape_and_losscape_normalise_something_else_than_filters():
    """(4, 1, 3, 3) norms of a (4, 8, 3, 3) convolution, or one norm a tensor."""
    weight = torch.randn(4, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    weight[2] *= 10
    direction = normalised([torch.ones(4, 8, 3, 3)], [weight])[0]
    assert torch.allclose(direction.flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1))


def test_torch_loss_landscape_builds_a_covariance_of_all_parameters():
    """P x P numbers for 200,000 parameters would be 320 GB."""
    weights = [torch.zeros(400, 500)]
    generator = torch.Generator().manual_seed(0)
    path = [[torch.randn(400, 500, generator=generator)] for _ in range(4)]
    started = time.perf_counter()
    principal_plane(weights, path)
    assert time.perf_counter() - started < 10


def test_loss_landscape_anim_holds_a_weight_vector_for_every_point():
    """100 x 100 points of half a million parameters would be 20 GB; one copy serves all here."""
    subject = Subject(nn.Linear(3, 3).double(), DATA)
    evaluator = evaluator_of(subject)
    plane = random_plane(evaluator.centre, torch.Generator().manual_seed(0))
    empty = empty_surface(subject, evaluator, plane, np.zeros(100), np.zeros(100))
    held = sum(v.nbytes for v in vars(empty).values() if isinstance(v, np.ndarray))
    assert held < 1e6


def noise(n, d, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


def test_google_svcca_breaks_on_dead_units():
    """eps = 0 with a dead or duplicate unit is a LinAlgError there."""
    x, y = noise(100, 5, 0), noise(100, 4, 1)
    dead = torch.cat([x, torch.zeros(100, 1).double(), x[:, :1]], dim=1)
    assert cca(dead, y) == pytest.approx(cca(x, y), rel=1e-9)


def test_google_svcca_drops_the_tail_of_its_mean():
    """0.481 with its threshold of 0.98, 0.376 over all correlations."""
    x, y = noise(300, 8, 0), noise(300, 8, 1)
    y[:, 0] = x[:, 0]
    xc, yc = (torch.linalg.svd(a - a.mean(dim=0), full_matrices=False)[0] for a in (x, y))
    every = torch.linalg.svdvals(xc.T @ yc)
    assert cca(x, y) == pytest.approx(float(every.mean()), rel=1e-10)


def test_google_pwcca_depends_on_which_side_is_wider():
    """An IndexError for (30, 20) units there, fine for (20, 30)."""
    for wide, narrow in ((30, 20), (20, 30)):
        assert 0 < pwcca(noise(400, wide, 0), noise(400, narrow, 1)) < 1


def test_anatome_orthonormalises_coefficients_and_not_variates():
    """Variates are orthonormal in sample space; weights follow from that."""
    x = noise(200, 4, 0) @ torch.diag(torch.tensor([1.0, 10, 100, 1000]).double())
    assert pwcca(x, x) == pytest.approx(1, abs=1e-10)
    y = noise(200, 4, 1)
    y[:, 3] = x[:, 3]
    # nearly all of x is its fourth unit, which y holds exactly
    assert pwcca(x, y) > 0.8
    assert cca(x, y) < 0.5


def test_resi_keeps_one_direction_where_fifty_are_right():
    """Its 99 % cut compares shares with a multiple of the total."""
    x = noise(2000, 50, 0)
    y = x @ torch.linalg.qr(noise(50, 50, 1)).Q
    y[:, 25:] = noise(2000, 25, 2)
    # one direction alone would score near 1 or near 0, half of fifty give about a half
    assert 0.45 < svcca(x, y) < 0.75


def test_torch_cka_is_no_number_on_small_batches():
    assert np.isfinite(cka(noise(5, 64, 0), noise(5, 64, 1)))


def test_torch_cka_labels_follow_another_order_than_its_rows():
    labels = torch.arange(3).repeat_interleave(60)
    centres = torch.tensor([[0.0, 0, 0], [9, 0, 0], [0, 9, 0]]).double()
    features = centres[labels] + noise(180, 3, 0)
    found = class_similarity(features, labels, ("a", "b", "c"), (9, 5, 3), measures=("cka", "cca"))
    assert found.measure.tolist() == ["cka", "cca"]
    assert np.diag(found.score[0]) == pytest.approx(np.ones(3))
    assert found.score[1, 0, 1] == pytest.approx((3 / 60) ** 0.5, rel=0.6)


def test_neural_collapse_pools_by_frequency_elsewhere():
    """A frequent class must not pull the global mean."""
    from landscape.analyses.features import neural_collapse

    frame = torch.eye(3, 4).double() - torch.eye(3, 4).double().mean(dim=0)
    labels = torch.tensor([0] * 50 + [1] * 5 + [2])
    assert neural_collapse(frame[labels], labels, 3).nc2 == pytest.approx(0, abs=1e-12)
    assert isinstance(DATA, TensorData)
