"""Random and principal directions, and how they are normalised."""

import time

import pytest
import torch
from torch import nn

from landscape import Subject, SurfaceConfig, TensorData, surface
from landscape.weight_space.directions import normalised, principal_plane, random_plane
from landscape.weight_space.filters import filter_layouts
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


class Scaled(nn.Module):
    """Gains of several shapes beside layers whose matrices have one entry a row."""

    def __init__(self):
        super().__init__()
        self.layer_scale = nn.Parameter(torch.full((4, 1, 1), 0.1))
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
        self.point_wise = nn.Conv2d(4, 4, 1, groups=4)
        self.first = nn.Linear(1, 3)


def layouts_of(model):
    return filter_layouts(model, [name for name, _ in model.named_parameters()])


def plane_of(model, **given):
    weights = [p.detach() for p in model.parameters()]
    given = {"layouts": layouts_of(model)} | given
    plane = random_plane(weights, torch.Generator().manual_seed(0), **given)
    return {n: d for (n, _), d in zip(model.named_parameters(), plane.directions[0], strict=True)}


def test_one_number_a_channel_is_a_vector_whatever_its_shape():
    model = Scaled()
    found = plane_of(model)
    moved = {name for name, direction in found.items() if direction.any()}
    lengths, rows = (f"normed.parametrizations.weight.original{k}" for k in (0, 1))
    assert moved == {rows, "point_wise.weight", "first.weight"}
    blind = plane_of(model, layouts=None)  # a layer that is not known
    assert not blind["layer_scale"].any()
    assert not blind[lengths].any()
    whole = plane_of(model, vectors=True)
    for name in ("layer_scale", lengths):
        weight = model.get_parameter(name).detach()
        assert float(whole[name].norm()) == pytest.approx(float(weight.norm()), rel=1e-5)
        assert not torch.allclose(whole[name].abs(), weight.abs())


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("dim", [0, 1])
def test_the_lengths_of_the_older_weight_norm_are_a_vector(dim):
    found = plane_of(nn.utils.weight_norm(nn.Linear(4, 3), dim=dim))
    assert {name for name, direction in found.items() if direction.any()} == {"weight_v"}


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kind", [nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d])
def test_filters_of_a_transposed_convolution_make_an_output_channel(kind, groups):
    """What moves one output channel, found by autograd, has the norm of its weights."""
    torch.manual_seed(0)
    layer = kind(4, 6, 3, groups=groups)
    with torch.no_grad():
        layer.weight *= torch.logspace(-1, 1, layer.weight.numel()).view_as(layer.weight)
    direction = plane_of(layer)["weight"]
    outputs = layer(torch.rand(1, 4, *[4] * (layer.weight.dim() - 2)) + 1)
    for channel in outputs[0]:
        (gradient,) = torch.autograd.grad(channel.sum(), layer.weight, retain_graph=True)
        own = gradient != 0
        expected = float(layer.weight[own].detach().norm())
        assert float(direction[own].norm()) == pytest.approx(expected, rel=1e-5)


def test_a_surface_knows_the_layers_of_its_parameters():
    """A matrix of one entry a row has filters, which its shape alone would not tell."""
    model = nn.Linear(1, 3)
    data = TensorData(torch.ones(4, 1), torch.tensor([0, 1, 2, 2]))
    found = surface(Subject(model, data), SurfaceConfig(points=3, dimensions=1))
    assert found.direction_norm[0] == pytest.approx(float(model.weight.detach().norm()), rel=1e-6)
