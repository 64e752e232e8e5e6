"""Paths between checkpoints, against closed forms and permuted copies."""

import copy
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscape.analyses.path import path
from landscape.analyses.surface import surface
from landscape.config import PathConfig, SurfaceConfig
from landscape.errors import InputError
from landscape.subject.batch import Batch
from landscape.subject.data import TensorData
from landscape.subject.loss import Loss
from landscape.subject.subject import Subject
from landscape.weight_space.matching import match_activations, match_weights
from landscape.weight_space.symmetry import find_symmetry
from tests.oracles import conv_net, mlp, toy_data
from trainers.models.resnet_cifar import CifarResNet

PLAIN = PathConfig(points=21, align="none")


class Joined(nn.Module):
    """Concatenation, a depthwise convolution, a shortcut and LayerNorm, float64."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.one, self.two = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(1, 3, 3, padding=1)
            self.deep = nn.Conv2d(7, 7, 3, padding=1, groups=7)
            self.mixed = nn.Conv2d(7, 7, 1)
            self.norm, self.last = nn.LayerNorm(7), nn.Linear(28, 3)
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        both = torch.cat([self.one(x).relu(), self.two(x).sigmoid()], dim=1)
        both = both + self.mixed(self.deep(both)).relu()
        rows = self.norm(F.adaptive_avg_pool2d(both, 2).flatten(2).transpose(1, 2))
        return self.last(rows.transpose(1, 2).flatten(1))


def networks():
    residual = CifarResNet(8, 3).double()
    return {
        "mlp": (mlp(outputs=3), torch.randn(6, 3).double(), 5),
        "conv": (conv_net(), torch.randn(6, 1, 4, 4).double(), 3),
        "joined": (Joined(), torch.randn(6, 1, 4, 4).double(), 7),
        # three inner layers of 16, 32 and 64, and a stream of 16, widened by 2 x 8 and 2 x 16
        "residual": (residual, torch.randn(4, 3, 8, 8).double(), 112 + 64),
    }


def permuted_copy(model, inputs, seed=1):
    """A copy whose units are shuffled, and the shuffles."""
    symmetry, _ = find_symmetry(model, Batch(inputs, torch.zeros(len(inputs), dtype=torch.long)))
    generator = torch.Generator().manual_seed(seed)
    shuffles = {a: torch.randperm(n, generator=generator) for a, n in symmetry.sizes.items()}
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for name, value in [*twin.named_parameters(), *twin.named_buffers()]:
            value.copy_(symmetry.permuted(name, value.clone(), shuffles))
    return twin, symmetry, shuffles


@pytest.mark.parametrize("name", networks())
def test_every_symmetry_found_leaves_the_outputs(name):
    model, inputs, units = networks()[name]
    model.eval()
    twin, symmetry, _ = permuted_copy(model, inputs)
    assert torch.allclose(twin(inputs), model(inputs), rtol=1e-10, atol=1e-12)
    assert sum(symmetry.sizes.values()) == units
    moved = [n for n, p in twin.named_parameters() if not torch.equal(p, model.get_parameter(n))]
    assert moved


@pytest.mark.parametrize("method", ["weights", "activations"])
@pytest.mark.parametrize("name", networks())
def test_a_permuted_copy_is_put_back(name, method):
    model, inputs, _ = networks()[name]
    model.eval()
    twin, symmetry, shuffles = permuted_copy(model, inputs)
    if method == "weights":
        states = (dict(m.named_parameters()) | dict(m.named_buffers()) for m in (model, twin))
        found = match_weights(symmetry, *states)
    else:
        more = torch.randn(64, *inputs.shape[1:], generator=torch.Generator().manual_seed(0))
        batch = Batch(more.double(), torch.zeros(64, dtype=torch.long))
        found = match_activations(model, twin, [batch])
    for atom, own in found.items():
        assert torch.equal(shuffles[atom][own], torch.arange(len(own))), atom


def test_an_operation_that_is_not_known_pins_its_units():
    class Rolled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = mlp(outputs=3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hidden = torch.roll(self.net[0](x), 1, dims=1)
            return self.net[2](hidden)

    symmetry, _ = find_symmetry(Rolled(), Batch(torch.randn(2, 3).double(), torch.zeros(2)))
    assert symmetry.sizes == {}


@pytest.mark.parametrize("net", [conv_net, lambda: mlp(inputs=16, outputs=3)])
def test_identical_networks_have_no_barrier_once_units_match(net):
    model = net().eval()
    shape = (1, 4, 4) if isinstance(model[0], nn.Conv2d) else (16,)
    data = toy_data(shape, (9, 5, 3))
    twin, *_ = permuted_copy(model, data.inputs[:4], seed=3)
    found = path(Subject(model, data), PathConfig(points=9), to=twin)
    assert found.path.tolist() == ["line", "aligned"]
    assert found.distance[1] < 1e-12 < found.distance[0]
    assert np.abs(found.barrier[1]).max() < 1e-12
    assert int(found.moved) > 0
    assert found.loss[1] == pytest.approx(np.broadcast_to(found.loss[1, :1], found.loss[1].shape))


def bowls(sign):
    """Class c has the loss sign · s_c w², with s = 1, 3."""
    model = nn.Linear(1, 1, bias=False).double()
    model.weight.data.fill_(-1.0)
    data = TensorData(torch.ones(4, 1).double(), torch.tensor([0, 0, 0, 1]))
    scale = torch.tensor([1.0, 3.0]).double()
    return Subject(model, data, lambda outputs, t: sign * scale[t] * outputs[:, 0] ** 2)


def test_the_barrier_of_a_quadratic():
    """s (w² along the line from -1 to 2) has the barrier s (2 - -1)² / 4 where it curves down."""
    end = {"weight": torch.full((1, 1), 2.0)}
    up = path(bowls(1.0), PLAIN, to=end)
    assert np.abs(up.barrier).max() == 0  # it lies below the line between its ends
    down = path(bowls(-1.0), PLAIN, to=end)
    scopes = down.scope.tolist()
    by_scope = dict(zip(scopes, down.barrier[0], strict=True))
    assert by_scope["class/0"] == pytest.approx(9 / 4)
    assert by_scope["class/1"] == pytest.approx(3 * 9 / 4)
    assert by_scope["overall"] == pytest.approx((3 * 1 + 3) / 4 * 9 / 4)
    assert down.barrier_at[0].tolist() == [0.5] * len(scopes)
    assert down.barrier_sem[0, scopes.index("class/0")] == pytest.approx(0, abs=1e-12)


def test_classes_add_up_to_the_whole_and_equal_a_surface():
    model, other, data = mlp(outputs=3), mlp(4, outputs=3), toy_data((3,), (9, 5, 3))
    subject = Subject(model, data)
    found = path(subject, PathConfig(points=5, align="none"), to={"late": other}, batch_size=4)
    shares = np.array([9, 5, 3]) / 17
    loss, accuracy = found.scope_curve(0, "overall")
    assert loss == pytest.approx(found.loss[0] @ shares)
    assert accuracy == pytest.approx(found.correct[0].sum(axis=1) / 17)
    above = loss - np.linspace(loss[0], loss[-1], 5)
    assert found.barrier[0, 0] == pytest.approx(above.max())
    line = SurfaceConfig("checkpoints", points=5, x=(0, 1), dimensions=1)
    same = surface(subject, line, through=[other])
    assert found.loss[0] == pytest.approx(same.loss[0], rel=1e-12)
    assert str(found.to) == "late"
    assert found.provenance.config["diagnose"]["path"]["to"] == "late"


def test_errors_of_barriers_are_those_of_a_stratified_mean():
    model, other, data = mlp(outputs=2), mlp(4), toy_data((3,), (40, 8))
    subject = Subject(model, data, lambda z, t: -F.cross_entropy(z, t, reduction="none"))
    found = path(subject, PathConfig(points=3, align="none"), to=other)
    each = []
    for t in (0, 0.5, 1):
        net = copy.deepcopy(model)
        pairs = zip(net.parameters(), model.parameters(), other.parameters(), strict=True)
        with torch.no_grad():
            for p, a, b in pairs:
                p.copy_((1 - t) * a + t * b)
            losses = -F.cross_entropy(net(data.inputs), data.labels, reduction="none")
        each.append(losses.numpy())
    above = each[1] - (each[0] + each[2]) / 2
    parts = [above[data.labels.numpy() == c] for c in (0, 1)]
    sem = np.sqrt(sum((len(p) / 48) ** 2 * p.var(ddof=1) / len(p) for p in parts))
    assert above.mean() > 0
    assert found.barrier[0, 0] == pytest.approx(above.mean())
    assert found.barrier_sem[0, 0] == pytest.approx(sem)


def test_a_curve_goes_around_what_the_line_goes_through():
    """The loss (‖w‖² - 1)² is 1 at the origin, and 0 on the circle."""
    model = nn.Linear(2, 1, bias=False).double()
    model.weight.data = torch.tensor([[1.0, 0.0]]).double()
    data = TensorData(torch.eye(2).double(), torch.tensor([0, 0]))

    def loss(network, batch):
        return (network.weight.square().sum() - 1).square().expand(len(batch[1]))

    subject = Subject(model, data, Loss.of_batch(loss))
    end = {"weight": torch.tensor([[-0.6, 0.8]]).double()}
    settings = PathConfig(points=21, align="none", curve=300, rate=0.02)
    found = path(subject, settings, to=end, batch_size=2)
    line, curve = found.barrier[:, 0]
    assert line == pytest.approx((1 - 0.2) ** 2, rel=1e-6)  # ‖(w_A + w_B) / 2‖² = 0.2
    assert curve < 0.1 * line
    assert found.loss[1, [0, -1]] == pytest.approx(found.loss[0, [0, -1]], abs=1e-12)


def test_statistics_are_recomputed_along_the_way():
    """Halfway between networks whose statistics differ, those of neither end would do."""
    data = toy_data((1, 4, 4), (12, 6, 3))
    model, other = conv_net(), conv_net(1)
    found = path(Subject(model, data), PathConfig(points=3, align="none"), to=other)
    net = copy.deepcopy(model)
    with torch.no_grad():
        for p, q in zip(net.parameters(), other.parameters(), strict=True):
            p.copy_((p + q) / 2)
        net.train()
        expected = F.cross_entropy(net(data.inputs), data.labels, reduction="none")
    # running variances divide by n - 1
    for c in range(3):
        own = float(expected[data.labels == c].mean())
        assert found.loss[0, 1, c] == pytest.approx(own, rel=0.02)


def test_statistics_of_a_few_samples_are_those_of_the_data():
    """A balanced draw would shift them: the head's share is nine tenths, and not a half."""
    data = toy_data((1, 4, 4), (90, 10))
    model = conv_net(classes=2)
    whole = path(Subject(model, data), PathConfig(points=3, align="none"), to=conv_net(1, 2))
    found = path(
        Subject(model, data),
        PathConfig(points=3, align="none"),
        to=conv_net(1, 2),
        samples_per_class=10,
    )
    assert found.samples.tolist() == [10, 10]
    assert found.loss[0, :, 1] == pytest.approx(whole.loss[0, :, 1], rel=1e-6)


def test_absent_classes_and_refusals():
    data = toy_data((3,), (9, 5))
    subject = Subject(mlp(outputs=3), data, class_names=("a", "b", "c"))
    found = path(subject, PathConfig(points=3), to=mlp(1, outputs=3))
    assert "class/2" not in found.scope
    assert np.isnan(found.loss[:, :, 2]).all()
    for given in ({"to": None}, {"to": {"a": mlp(outputs=3), "b": mlp(outputs=3)}}):
        with pytest.raises(InputError, match="a path leads to one other checkpoint"):
            path(subject, **given)
    with pytest.raises(InputError, match=r"path\.points|points is 2"):
        path(subject, PathConfig(points=2), to=mlp(outputs=3))


class Counting(nn.Module):
    """Counts the samples that pass in each mode."""

    passed: ClassVar[dict[bool, int]] = {}

    def __init__(self, seed):
        super().__init__()
        self.net = conv_net(seed, 2)

    def forward(self, x):
        mode = self.net[1].training
        self.passed[mode] = self.passed.get(mode, 0) + len(x)
        return self.net(x)


@pytest.mark.parametrize(("statistics", "drawn"), [(20, 20), (100, 100), (1024, 100)])
def test_statistics_take_a_part_of_the_passes(statistics, drawn):
    data = toy_data((1, 4, 4), (90, 10))
    points = {3: {}, 5: {}}
    for count, passed in points.items():
        Counting.passed.clear()
        settings = PathConfig(points=count, align="none", statistics=statistics)
        path(Subject(Counting(0), data), settings, to=Counting(1))
        passed |= Counting.passed
    two = {mode: points[5][mode] - points[3][mode] for mode in (True, False)}
    assert two == {True: 2 * drawn, False: 2 * 100}
