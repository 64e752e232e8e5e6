"""A way to another checkpoint ends at that checkpoint's own loss, or is refused."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscape import PathConfig, Subject, SurfaceConfig, path, surface
from landscape.errors import DataWarning, InputError
from tests.oracles import conv_net, mlp, toy_data

LINE = SurfaceConfig("checkpoints", points=3, x=(0, 1), dimensions=1)
STRAIGHT = PathConfig(points=3, align="none")
IMAGES, ROWS = toy_data((1, 4, 4), (9, 5, 3)), toy_data((3,), (9, 5, 3))


def normed(seed):
    """InstanceNorm with statistics, which nothing recomputes."""
    net = conv_net(seed)
    norm = nn.InstanceNorm2d(3, affine=True, track_running_stats=True).double()
    norm.load_state_dict(net[1].state_dict())
    net[1] = norm
    return net.eval()


def frozen(seed):
    net = mlp(seed, outputs=3)
    net[0].requires_grad_(False)
    return net


def own_loss(model, data):
    return F.cross_entropy(copy.deepcopy(model).eval()(data.inputs), data.labels).item()


def ends_of(line):
    """Losses at both ends of a surface or a path, over all samples."""
    return line.scope_loss("overall")[0, [0, -1]]


def line_to(one, other, data, **changes):
    settings = SurfaceConfig(**vars(LINE) | changes)
    return surface(Subject(one, data), settings, through={"b": other}, batch_size=64)


@pytest.mark.parametrize(
    ("network", "data", "left", "what"),
    [
        (frozen, ROWS, "0.", "the frozen parameter '0.weight' of 'b' differs"),
        (normed, IMAGES, "1.running", "the buffer '1.running_mean' of 'b' differs"),
    ],
)
def test_an_end_that_would_not_be_the_checkpoint_is_refused(network, data, left, what):
    one, other = network(0), network(1)
    with pytest.raises(InputError, match=what):
        line_to(one, other, data)
    with pytest.raises(InputError, match=what):
        path(Subject(one, data), STRAIGHT, to={"b": other})
    other.load_state_dict(
        {n: v for n, v in one.state_dict().items() if n.startswith(left)}, strict=False
    )
    own = [own_loss(one, data), own_loss(other, data)]
    assert ends_of(line_to(one, other, data)) == pytest.approx(own, rel=1e-9)
    way = path(Subject(one, data), STRAIGHT, to={"b": other})
    assert way.scope_curve(0, "overall")[0][[0, -1]] == pytest.approx(own, rel=1e-9)


def trained(seed):
    """BatchNorm whose running statistics are those of all samples, as if recomputed."""
    net = conv_net(seed).train()
    net[1].momentum = None
    net[1].reset_running_stats()
    net(IMAGES.inputs)
    return net.eval()


def test_fixed_statistics_of_batchnorm_are_said_to_be_the_centres():
    one, other = trained(0), trained(1)
    with pytest.warns(DataWarning, match=r"\(1.running_mean\) differ .* recomputed") as told:
        found = ends_of(line_to(one, other, IMAGES))
    assert len(told) == 1
    mixed = copy.deepcopy(other)
    mixed[1].load_state_dict({**other[1].state_dict(), **dict(one[1].named_buffers())})
    assert found == pytest.approx([own_loss(one, IMAGES), own_loss(mixed, IMAGES)], rel=1e-9)


def test_recomputed_statistics_reach_the_other_checkpoint():
    one, other = trained(0), trained(1)
    own = [own_loss(one, IMAGES), own_loss(other, IMAGES)]
    found = line_to(one, other, IMAGES, statistics="recomputed")
    assert ends_of(found) == pytest.approx(own, rel=1e-9)
    way = path(Subject(one, IMAGES), STRAIGHT, to={"b": other}, batch_size=64)
    assert way.scope_curve(0, "overall")[0][[0, -1]] == pytest.approx(own, rel=1e-9)


def divided(wrap, seed):
    """Spectral norms over rows, columns and a convolution, whose vectors are those of others."""

    def build():
        layers = (
            *(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(16, 3), nn.Tanh()),
            nn.Linear(3, 3),
        )
        return nn.Sequential(*(wrap(m) if hasattr(m, "weight") else m for m in layers)).double()

    torch.manual_seed(seed + 10)
    other = build()
    torch.manual_seed(seed)
    net = build().eval()
    vectors = {n: b for n, b in other.named_buffers() if n.endswith(("u", "v"))}
    net.load_state_dict(vectors, strict=False)
    return net


def weights_of(model):
    """By the names that they have without spectral norms, of either kind."""
    found = {}
    for name, parameter in model.named_parameters():
        own = name.replace("parametrizations.", "").replace(".original", "").replace("_orig", "")
        found[own] = parameter.detach()
    return found


def by_largest_singular_values(model, at=None, share=0.0):
    """The loss of the weights over their largest singular values, on the way to others."""
    plain = nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(16, 3), nn.Tanh()), nn.Linear(3, 3)
    ).double()
    for name, own in plain.named_parameters():
        a, b = (ends[name] for ends in (weights_of(model), weights_of(at or model)))
        own.data = (1 - share) * a + share * b
        if own.dim() > 1:
            own.data /= torch.linalg.matrix_norm(own.data.flatten(1), 2)
    return own_loss(plain, IMAGES)


@pytest.mark.parametrize("wrap", [nn.utils.parametrizations.spectral_norm, nn.utils.spectral_norm])
def test_spectral_norms_are_of_the_weights_along_the_way(wrap):
    one, other = divided(wrap, 0), divided(wrap, 1)
    own = [by_largest_singular_values(one, other, t) for t in (0, 0.5, 1)]
    way = path(Subject(one, IMAGES), STRAIGHT, to={"b": other})
    assert way.scope_curve(0, "overall")[0] == pytest.approx(own, rel=1e-9)
    found = line_to(one, other, IMAGES, statistics="recomputed")
    assert found.scope_loss("overall")[0] == pytest.approx(own, rel=1e-9)
    with pytest.warns(DataWarning, match="spectral norms' singular vectors"):
        stays = line_to(one, other, IMAGES)
    assert ends_of(stays)[0] == pytest.approx(own_loss(one, IMAGES), rel=1e-9)
    curved = path(
        Subject(one, IMAGES), PathConfig(points=3, align="none", curve=5), to={"b": other}
    )
    assert curved.loss[1, [0, 2]] == pytest.approx(curved.loss[0, [0, 2]], rel=1e-9)


def test_directions_that_only_pass_by_checkpoints_say_nothing():
    """Trajectories, marks and their planes are of the trainable weights."""
    one, *others = (trained(k) for k in range(4))
    run = dict(enumerate(others))
    settings = SurfaceConfig("pca", points=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        surface(Subject(one, IMAGES), settings, trajectory=run, marks={"b": others[0]})


def test_frozen_units_that_alignment_would_move_are_refused():
    """Both share the frozen layer, whose rows the other's next layer reads in another order."""
    one, other = frozen(0), frozen(0)
    with torch.no_grad():
        one[2].weight *= 100  # which settles the order
        other[2].weight.copy_(one[2].weight[:, [3, 0, 4, 1, 2]])
    subject, to = Subject(one, ROWS), {"b": other}
    with pytest.raises(InputError, match=r"'0.weight' of 'b, aligned' differs .* with align none"):
        path(subject, PathConfig(points=3, align="weights"), to=to)
    found = path(subject, STRAIGHT, to=to)
    assert found.scope_curve(0, "overall")[0][-1] == pytest.approx(own_loss(other, ROWS), rel=1e-9)
