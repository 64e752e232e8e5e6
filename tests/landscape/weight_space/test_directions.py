"""Random and principal directions, and how they are normalised."""

import time

import pytest
import torch

from landscape.weight_space.directions import normalised, principal_plane, random_plane
from tests.landscape.analyses.test_surface import regression, surface_of


def test_random_directions_are_centred():
    """loss-landscapes draws uniform numbers in [0, 1): one orthant."""
    weights = [torch.ones(200, 50)]
    plane = random_plane(weights, torch.Generator().manual_seed(0))
    for parts in plane.directions:
        assert abs(float(parts[0].mean())) < 5 * float(parts[0].std()) / 100


def test_biases_are_normalised_once_and_the_model_stays():
    """loss-landscapes normalises biases twice and leaves the model moved."""
    weights = [torch.full((3, 4), 2.0), torch.full((3,), 5.0)]
    direction = normalised([torch.ones(3, 4), torch.ones(3)], weights, vectors=True)
    assert float(direction[1].norm()) == pytest.approx(float(weights[1].norm()))
    subject, _ = regression()
    before = subject.model.weight.clone()
    surface_of(subject)
    assert torch.equal(subject.model.weight, before)


def test_layer_normalised_directions_are_orthogonal_and_bounded():
    """Landscaper projects out directions that are not of unit norm and reaches norms of 1e8."""
    weights = [torch.randn(30, 30, generator=torch.Generator().manual_seed(0))]
    plane = random_plane(weights, torch.Generator().manual_seed(1), kind="layer")
    expected = float(weights[0].norm())
    assert plane.norms == pytest.approx([expected, expected], rel=1e-5)
    assert abs(plane.cosine) < 1e-6


def test_filters_of_a_convolution_have_the_norms_of_their_weights():
    """torch-loss-landscape takes (4, 1, 3, 3) norms here, losscape one norm a tensor."""
    weight = torch.randn(4, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    weight[2] *= 10
    direction = normalised([torch.ones(4, 8, 3, 3)], [weight])[0]
    assert torch.allclose(direction.flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1))


def test_principal_directions_need_no_covariance_of_all_parameters():
    """torch-loss-landscape builds P x P numbers: 320 GB for 200,000 parameters."""
    weights = [torch.zeros(400, 500)]
    generator = torch.Generator().manual_seed(0)
    path = [[torch.randn(400, 500, generator=generator)] for _ in range(4)]
    started = time.process_time()
    principal_plane(weights, path)
    assert time.process_time() - started < 10
